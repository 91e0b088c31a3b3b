"""Subsampled groups: as many samples of each group as the smallest has."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from longway.data.samples import Samples
from longway.data.weights import draw_equally
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import fit_linear
from longway.linear.head import LinearHead
from longway.methods._base import FitData
from longway.methods._group_aware import GroupAware
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods.erm import ERM
from longway.utils.rules import COUNT


def equal_groups(rows: Samples, generator: np.random.Generator) -> np.ndarray:
    """Draw as many samples of each group as the smallest has."""
    assert rows.groups is not None  # given or inferred
    return draw_equally(rows.groups, generator, rows.weight > 0)


@register
class SUBG(GroupAware, ERM):
    """Train on as many random samples of each group as the smallest group has (SUBG).

    Parameters
    ----------
    n_refits : int, default 8
        Draws that a linear head is fitted to and averaged over; the paper's is 1, as it is for a network.
    averaging : float, default 0.1
        As in ``ERM``; of networks.
    selection : default "worst_group"
        Validation groups are the given ones, or inferred like the training groups.
    **group_aware
        ``group_inference`` and ``group_inference_params``, as in ``GroupAware``.
    **erm
        All parameters of ``ERM``.

    Attributes
    ----------
    group_inference_ : dict
        As in ``GroupAware``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (SUBG).
    """

    needs = "many samples in the smallest group"
    subset = staticmethod(equal_groups)

    n_refits: int = parameter(8, COUNT)
    averaging: float = 0.1
    selection: str = "worst_group"

    def _solved(self, task: FitData) -> nn.Module:
        draws = [self._chosen(task.rows, task) for _ in range(self.n_refits)]
        layers = [fit_linear(rows, task.n_classes, self.l2).folded(torch.float64) for rows in draws]
        network = FeatureHead(task.rows.shape[0], task.n_classes).double()
        weight, bias = (
            torch.stack([getattr(each, name).detach() for each in layers]).mean(0) for name in LinearHead._fields
        )
        network.set_linear(LinearHead(weight, bias))
        return network
