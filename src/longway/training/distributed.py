"""Distributed training: several processes that share each batch."""

from __future__ import annotations

import torch
from torch import Tensor

_is_distributed = False


def share_batches() -> None:
    """Mark this process as one of several that share each batch, for `gathered`."""
    global _is_distributed
    _is_distributed = True


def gathered(values: Tensor) -> Tensor:
    """Gather values of the whole batch from all processes.

    A loss that depends on statistics of the whole batch (correlations, variances, sums per group) computes them from
    gathered values, so that several processes give the same result as one. The samples are reordered, in the same way
    in every call. Gradients do not flow through.

    Parameters
    ----------
    values : Tensor of shape (n, ...)
        Values for this process's part of the batch.

    Returns
    -------
    Tensor of shape (N, ...)
        The input itself if there is only one process.
    """
    if not _is_distributed:
        return values
    from torch import distributed

    world = distributed.get_world_size()
    sizes = [torch.zeros(1, dtype=torch.int64, device=values.device) for _ in range(world)]
    distributed.all_gather(sizes, torch.tensor([len(values)], device=values.device))
    counts = [int(size) for size in sizes]
    # all_gather needs equal shapes: pad each part to the longest one, then cut the padding off.
    padded = values.detach().new_zeros(max(counts), *values.shape[1:])
    padded[: len(values)] = values.detach()
    parts = [torch.empty_like(padded) for _ in range(world)]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
