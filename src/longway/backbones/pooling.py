"""Pooling of a layer's output, tokens or a map, to one feature vector per input."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from longway.utils.errors import LongwayError, nearest

POOLINGS = ("mean", "max", "cls", "none")
"""Ways to turn the locations or tokens of an output into one vector."""


class Tokens(NamedTuple):
    """Token features of texts of different lengths."""

    values: Tensor
    """(N, t, d)."""
    mask: Tensor
    """(N, t), 0 for padding."""


def pool(features: Tensor, how: str | None, mask: Tensor | None = None) -> Tensor:
    """Pool tokens or a map to one feature vector per input.

    Parameters
    ----------
    features : Tensor of shape (N, d), (N, t, d) or (N, d, h, w)
        Feature vectors, which are returned unchanged, tokens, or a map.
    how : {"mean", "max", "cls", "none"} or None
        Mean or maximum over tokens or positions, the first token, or all values concatenated; None is the mean.
    mask : Tensor of shape (N, t), optional
        0 for padding.

    Returns
    -------
    Tensor of shape (N, d), or (N, t d) or (N, d h w) for "none"

    Raises
    ------
    LongwayError
        If ``how`` is "cls" and the features are a map.

    Examples
    --------
    >>> tokens = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]]])
    >>> pool(tokens, "mean", torch.tensor([[1, 1, 0]])).tolist(), pool(tokens, "cls").tolist()
    ([[2.0, 4.0]], [[1.0, 2.0]])
    """
    if features.ndim == 2:
        return features
    if how == "none":
        return features.flatten(1)
    if how == "cls":
        if features.ndim == 4:
            raise LongwayError(
                "pooling='cls' needs tokens (N, t, d), but the features are a map (N, d, h, w): use mean"
            )
        return features[:, 0]
    over = (2, 3) if features.ndim == 4 else (1,)
    if mask is None:
        return features.amax(over) if how == "max" else features.mean(over)
    weight = mask.unsqueeze(2).to(features.dtype)
    if how == "max":
        return features.masked_fill(weight == 0, torch.finfo(features.dtype).min).amax(1)
    return (features * weight).sum(1) / weight.sum(1).clamp_min(1)  # an empty text gives 0, not NaN


def check_layer(network: nn.Module, name: str, backbone: str) -> None:
    """Raise LongwayError if a network has no layer of that name."""
    names = [each for each, _ in network.named_modules() if each]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=5)
        hint = nearest(name, close or [each for each, _ in network.named_children()])
        raise LongwayError(f"backbone {backbone} has no layer={name!r}; {hint}")


@contextmanager
def layer_output(network: nn.Module, name: str) -> Iterator[list[Tensor]]:
    """Capture the output of a layer while the body runs the network.

    Parameters
    ----------
    network : nn.Module
    name : str
        As in ``named_modules``, such as ``"encoder.layer.3"``.

    Yields
    ------
    list of Tensor
        One per call of the layer; if a call returns several outputs, its first tensor.
    """
    outputs: list[Tensor] = []
    handle = network.get_submodule(name).register_forward_hook(lambda *call: outputs.append(first_tensor(call[2])))
    try:
        yield outputs
    finally:
        handle.remove()


def first_tensor(output: Any) -> Any:
    """Return the first tensor of a possibly nested output of tuples, lists and mappings."""
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, Sequence) and not isinstance(output, str) and output:
        return first_tensor(output[0])
    return output
