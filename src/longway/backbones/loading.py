"""Loading of backbones: choice of the adapter, and checks of the encoder that it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longway.backbones.adapter import LoadedEncoder, LoadRequest
from longway.backbones.backbone import PRECISIONS, Backbone
from longway.backbones.pooling import POOLINGS, check_layer
from longway.backbones.python_file import own_transform
from longway.backbones.transform import make_transform
from longway.utils.device import resolve_device
from longway.utils.errors import LongwayError, nearest

KINDS = ("timm", "torchvision", "hf", "st")


def load_backbone(
    spec: str | Path | nn.Module | Callable[[Tensor], Tensor] | Any,
    *,
    size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    crop: float | None = None,
    interpolation: str | None = None,
    layer: str | None = None,
    pooling: str | None = None,
    precision: str = "float32",
    device: str | torch.device = "auto",
) -> Backbone:
    """Load an encoder.

    Parameters
    ----------
    spec : str, nn.Module, callable or object
        One of

        - ``"timm:NAME"`` or ``"torchvision:NAME"``, an image model with its own weights;
        - ``"hf:PATH_OR_NAME"``, an image or text model of transformers; ``"st:PATH_OR_NAME"``, a text model
          of sentence-transformers;
        - ``"path/to/file.onnx"``, whose one input is float images (N, 3, H, W);
        - ``"path/to/file.py:function"``, where the function returns one of the following;
        - an ``nn.Module`` or callable that maps images, float (N, 3, H, W), to features (N, d), tokens (N, t, d) or a
          map (N, d, h, w); or an object with ``encode(list of str)`` that gives (N, d).

        ``$NAME`` in a path is taken from the environment.
    size : int, optional
        Side that images are resized to. By default the encoder's own, else the images' own size if all are equal, else
        224.
    mean, std : float or (float, float, float), optional
        Mean and standard deviation per channel, for images in [0, 1]. By default the encoder's own, else ImageNet's.
        0.5 and 0.5 scale to [-1, 1].
    crop : float, optional
        Fraction of the shorter side that the central crop keeps. By default the encoder's own, else nothing is cropped
        and the whole image is resized to the square.
    interpolation : {"nearest", "bilinear", "bicubic"}, optional
        By default the encoder's own, else bilinear.
    layer : str, optional
        Part of the network whose output gives the features, named as in ``named_modules``; for an ONNX file, a value of
        its graph.
    pooling : {"mean", "max", "cls", "none"}, optional
        Pooling of tokens and maps: their mean or maximum, the first token, or all values concatenated. By default the
        encoder's own, else the mean.
    precision : {"float32", "bfloat16", "float16"}, default "float32"
        Precision of the forward pass, by autocast; features are pooled in float32.
    device : str, default "auto"
        "cpu", "cuda", ...; "auto" takes a GPU if there is one.

    Returns
    -------
    Backbone

    Raises
    ------
    LongwayError
        If there is no such encoder, its package is not installed, its code raises, it cannot embed, or an option is out
        of range.

    Notes
    -----
    A Python file is executed: load only files that you trust. No other code is: weights are read from safetensors, or
    with ``weights_only`` if a library offers nothing else.

    Examples
    --------
    >>> import torch
    >>> backbone = load_backbone(torch.nn.Flatten(), size=2, mean=0.5, std=0.5, device="cpu")
    >>> backbone.embed(torch.ones(4, 3, 2, 2)).shape
    torch.Size([4, 12])
    """
    for name, value, choices in (("pooling", pooling, POOLINGS), ("precision", precision, PRECISIONS)):
        if value is not None and value not in choices:
            raise LongwayError(f"{name}={value!r} is unknown; {nearest(str(value), choices)}")
    request = LoadRequest(layer, pooling, precision, resolve_device(str(device)))
    loaded = _resolve(spec, request)
    if not callable(loaded.module) and not callable(getattr(loaded.module, "encode", None)):
        raise LongwayError(
            f"backbone {loaded.name} is of type {type(loaded.module).__name__}: it must be an nn.Module, a function of "
            "images, or have encode(list of str)"
        )
    given = {"size": size, "mean": mean, "std": std, "crop": crop, "interpolation": interpolation}
    options = loaded.defaults | {name: value for name, value in given.items() if value is not None}
    backbone = Backbone(
        loaded.name,
        loaded.module,
        make_transform(options),
        loaded.code,
        request.device,
        layer=layer,
        pooling=pooling,
        precision=precision,
        outputs_layer=loaded.outputs_layer,
    )
    if layer is not None and not loaded.outputs_layer:
        if backbone.network is None:
            raise LongwayError(f"backbone {loaded.name} is no nn.Module: leave out layer={layer!r}")
        check_layer(backbone.network, layer, loaded.name)
    return backbone


def _resolve(spec: Any, request: LoadRequest) -> LoadedEncoder:
    """Load a specification with its adapter."""
    if not isinstance(spec, str | Path):
        return LoadedEncoder(getattr(spec, "__name__", type(spec).__name__), spec, defaults=own_transform(spec))
    text = str(spec)
    kind, _, name = text.partition(":")
    if kind not in KINDS:
        kind, name = "onnx" if text.endswith(".onnx") else "python_file", text
    return import_module(f"longway.backbones.{kind}").load(name, request)
