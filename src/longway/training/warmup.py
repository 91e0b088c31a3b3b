"""Warm-up phase of a training run, for losses that change during training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Warmup(nn.Module):
    """Counter of the samples seen, which tells when the first part of a training run is over.

    The count is a buffer, so it is saved with the objective that owns it.

    Parameters
    ----------
    fraction : float
        Length of the first part as a fraction of the run, in [0, 1).
    total : int
        Samples that the run sees: samples times epochs.
    """

    seen: Tensor

    def __init__(self, fraction: float, total: int) -> None:
        super().__init__()
        self.length = fraction * total
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, n: int) -> bool:
        """Return whether the first part was over before this step of ``n`` samples, and count them."""
        over = bool(self.seen >= self.length)
        self.seen += n
        return over
