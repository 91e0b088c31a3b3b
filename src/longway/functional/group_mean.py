"""Means within groups."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_by_group(values: Tensor, weights: Tensor, groups: Tensor, n_groups: int) -> tuple[Tensor, Tensor]:
    """Return the weighted mean of values (n,) in each group, 0 for an empty one, and a mask of the non-empty groups.

    Examples
    --------
    >>> mean_by_group(torch.tensor([1.0, 3.0, 5.0]), torch.ones(3), torch.tensor([0, 0, 2]), 3)[0]
    tensor([2., 0., 5.])
    """
    sums, mass = (
        torch.zeros(n_groups, dtype=values.dtype, device=values.device).index_add(0, groups, part)
        for part in (values * weights, weights.to(values.dtype))
    )
    present = mass > 0
    return sums / mass.where(present, 1), present  # 0 / 1 for an empty group keeps gradients finite
