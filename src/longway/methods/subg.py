"""Subsampled groups: as many samples of each group as the smallest has."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from longway.data.samples import Samples, equal_parts
from longway.linear._hypergradient import Head
from longway.linear.fit import fit_linear
from longway.linear.module import FeatureHead
from longway.methods._base import FitData
from longway.methods._parameters import parameters
from longway.methods.rwg import RWG


@parameters
class SUBG(RWG):
    """Train on as many random samples of each group as the smallest group has (SUBG).

    Parameters
    ----------
    n_refits : int, default 8
        Draws that a linear head is fitted to, and averaged over; the paper's is 1, as it is for a network.
    **rwg
        All parameters of ``RWG``, also ``group_inference`` and ``group_inference_params``.

    Attributes
    ----------
    group_inference_ : dict
        As in ``RWG``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (SUBG).
    """

    n_refits: int = 8

    def _chosen(self, rows: Samples, task: FitData) -> Samples:
        assert rows.groups is not None  # given or inferred
        return rows.take(equal_parts(rows.groups, rows.weight > 0, task.generator))

    def _balance(self, rows: Samples, task: FitData) -> np.ndarray | None:
        return None  # the groups are equally frequent already

    def _solved(self, task: FitData) -> nn.Module:
        draws = [self._chosen(task.rows, task) for _ in range(self.n_refits)]
        layers = [fit_linear(rows, task.n_classes, self.l2).folded(torch.float64) for rows in draws]
        network = FeatureHead(task.rows.shape[0], task.n_classes).double()
        weight, bias = (torch.stack([getattr(each, name).detach() for each in layers]).mean(0) for name in Head._fields)
        network.set_linear(Head(weight, bias))
        return network
