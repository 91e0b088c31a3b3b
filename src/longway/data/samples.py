"""Samples as the methods read them: in batches, from memory or from a memory-mapped file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longway.utils.memmap import MemmapRef, read

RESIDENT_BYTES = 512 * 2**20
"""Data smaller than this in float32 are held in memory; larger data are read batch by batch."""

PIECE_NUMBERS = 2**22
"""Numbers per read of streamed data: 16 MiB in float32."""

NETWORK_ROWS = 2048
"""Samples per forward pass, at most."""

CACHED_NUMBERS = 2**18
"""Numbers per computation on a CPU; larger intermediate results leave the cache."""

NUMPY_TYPES = {torch.float32: np.float32, torch.float64: np.float64}


@dataclass(frozen=True)
class Samples:
    """Inputs with labels, weights and groups; a subset shares the inputs without copying them.

    Sent to another process, inputs that lie in a memory-mapped file stay there.

    Parameters
    ----------
    X : ndarray or memmap of shape (N, ...)
        All inputs, floats (images in [0, 1]); ``index`` selects rows of them.
    y : ndarray of shape (n,), int64
        Class codes.
    weight : ndarray of shape (n,), float64
        Sample weights.
    groups : ndarray of shape (n,), int64, optional
        Group codes.
    index : ndarray of shape (n,), int64, optional
        Rows of X; all of them if not given.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    groups: np.ndarray | None = None
    index: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.X.dtype.kind != "f":  # bytes would train a network 255 times too bright, and no error would tell
            raise TypeError(f"rows hold inputs of type {self.X.dtype}, not floats")

    def __len__(self) -> int:
        return len(self.y)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "X": MemmapRef.find(self.X) or self.X}

    def __setstate__(self, state: dict[str, Any]) -> None:
        X = state["X"]
        vars(self).update(state, X=X.open() if isinstance(X, MemmapRef) else X)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.X.shape[1:]

    def take(self, positions: np.ndarray) -> Samples:
        """Return the samples at these positions, without copying inputs."""
        index = positions if self.index is None else self.index[positions]
        groups = None if self.groups is None else self.groups[positions]
        return Samples(self.X, self.y[positions], self.weight[positions], groups, index)

    def reweighted(self, weight: np.ndarray) -> Samples:
        """Return the same samples with other weights."""
        return replace(self, weight=weight)

    def grouped(self, groups: np.ndarray | None) -> Samples:
        """Return the same samples with other groups."""
        return replace(self, groups=groups)

    def inputs(self, positions: np.ndarray | slice, dtype: torch.dtype = torch.float32) -> Tensor:
        """Read the inputs at these positions as a tensor (m, ...)."""
        where = positions if self.index is None else self.index[positions]
        return torch.from_numpy(read(self.X, where, NUMPY_TYPES[dtype]))

    @property
    def precision(self) -> torch.dtype:
        """The precision for computations: double if the inputs are stored in it, else single."""
        return torch.float64 if self.X.dtype == np.float64 else torch.float32

    @property
    def is_small(self) -> bool:
        """True if the inputs fit in memory."""
        return 4 * len(self) * int(np.prod(self.shape)) <= RESIDENT_BYTES

    @property
    def cached(self) -> int:
        """Number of samples whose computation stays in a processor's cache; at most ``NETWORK_ROWS``."""
        return min(NETWORK_ROWS, max(1, CACHED_NUMBERS // int(np.prod(self.shape))))

    def slices(self, size: int | None = None) -> Iterator[slice]:
        """Divide the samples into slices of at most ``size``, by default as many as ``PIECE_NUMBERS`` allows."""
        size = size or max(1, PIECE_NUMBERS // int(np.prod(self.shape)))
        return (slice(i, min(i + size, len(self))) for i in range(0, len(self), size))

    def gather(self, function: Callable[[slice], Tensor], size: int | None = None) -> Tensor:
        """Apply a function to each slice of samples and return the results as one tensor (n, ...), on the CPU.

        It is written in place: small results kept between large temporaries would hold on to the memory of those.
        """
        found: Tensor | None = None
        for part in self.slices(size):
            piece = function(part)
            if found is None:
                found = torch.empty(len(self), *piece.shape[1:], dtype=piece.dtype)
            found[part] = piece
        assert found is not None, "there are no rows"
        return found

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the weighted mean and standard deviation of each feature, float64 of shape (d,), in one pass.

        Deviations are taken from each piece's own mean and the pieces then merged: the difference of two large sums
        would lose all digits if the mean is large relative to the deviation. A constant feature gets the deviation 1,
        so that dividing by it is harmless.
        """
        dtype = self.precision
        weight = torch.from_numpy(self.weight / self.weight.sum())
        total, mean = 0.0, torch.zeros(self.shape, dtype=torch.float64)
        squares = torch.zeros_like(mean)
        for part in self.slices(self.cached):
            x, w = self.inputs(part, dtype), weight[part]
            share = float(w.sum())
            if share == 0:
                continue
            w = (w / share).to(dtype)
            centre = w @ x
            deviation = x - centre
            rest = w @ deviation  # what rounding left in the mean
            shift = centre.double() + rest.double() - mean
            inner = (w @ deviation.square_()).double() - rest.double().square()
            squares = squares + share * inner + shift.square() * (share * total / (share + total))
            total += share
            mean = mean + shift * (share / total)
        deviation = squares.clamp_min(0).sqrt()
        return mean, deviation.where(deviation > 1e-12 * mean.abs().clamp_min(1e-290), 1.0)


def predict_logits(module: nn.Module, rows: Samples) -> Tensor:
    """Run a network over samples in eval mode, without gradients.

    Returns
    -------
    Tensor of shape (n, C)
        On the CPU, in the network's dtype.
    """
    parameter = next(module.parameters())
    size = rows.cached if parameter.device.type == "cpu" else NETWORK_ROWS
    was_training = module.training
    module.eval()
    with torch.no_grad():
        logits = rows.gather(lambda part: module(rows.inputs(part, parameter.dtype).to(parameter.device)), size)
    module.train(was_training)
    return logits
