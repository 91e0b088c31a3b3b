"""Progress of a training run, for losses that change during training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Warmup(nn.Module):
    """A counter of the samples seen, which tells when the first part of a training run is over.

    The count is a buffer, so that it is part of the state of what it belongs to.

    Parameters
    ----------
    share : float
        Of the run, from 0, below 1.
    total : int
        Samples that the run sees in all: rows times epochs.
    """

    seen: Tensor

    def __init__(self, share: float, total: int) -> None:
        super().__init__()
        self.first = share * total
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, n: int) -> bool:
        """Return whether the first part is over before the ``n`` samples of this step, and count them."""
        over = bool(self.seen >= self.first)
        self.seen += n
        return over
