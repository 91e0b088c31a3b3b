"""Subsampled groups: as many samples of each group as the smallest has."""

from __future__ import annotations

import numpy as np

from longway.base import Task
from longway.methods.rwg import RWG
from longway.rows import Rows, equal_parts


class SUBG(RWG):
    """Train on as many random samples of each group as the smallest group has (SUBG).

    Parameters
    ----------
    **rwg
        All parameters of ``RWG``, also ``infer`` and ``infer_options``.

    Attributes
    ----------
    inferred_ : dict
        As in ``RWG``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (SUBG).
    """

    def _chosen(self, rows: Rows, task: Task) -> Rows:
        assert rows.groups is not None  # given or inferred
        return rows.take(equal_parts(rows.groups, rows.weight > 0, task.generator))

    def _balance(self, rows: Rows, task: Task) -> np.ndarray | None:
        return None  # the groups are equally frequent already
