"""Distributed training: several processes, each with its part of every batch."""

from __future__ import annotations

import torch
from torch import Tensor

_SHARED = False
"""Return whether this process is one of several that Longway started to train one network."""


def share_batches() -> None:
    """Mark this process as one of several, for ``gathered``."""
    global _SHARED
    _SHARED = True


def gathered(values: Tensor) -> Tensor:
    """Return values (n, ...) of all samples of the batch, gathered from all processes.

    What a loss computes over a batch as a whole (correlations, spreads, sums by group) is then the same in each process
    as it would be in one. The order of the samples is another one, alike in all calls; no gradient flows.

    Parameters
    ----------
    values : Tensor of shape (n, ...)
        Of this process's share of the batch.

    Returns
    -------
    Tensor of shape (N, ...)
        The same tensor where there is one process only.
    """
    if not _SHARED:
        return values
    from torch import distributed

    world = distributed.get_world_size()
    sizes = [torch.zeros(1, dtype=torch.int64, device=values.device) for _ in range(world)]
    distributed.all_gather(sizes, torch.tensor([len(values)], device=values.device))
    counts = [int(size) for size in sizes]
    padded = values.detach().new_zeros(max(counts), *values.shape[1:])
    padded[: len(values)] = values.detach()
    parts = [torch.empty_like(padded) for _ in range(world)]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
