"""Subsampled classes: as many samples of each class as the smallest has."""

from __future__ import annotations

import numpy as np

from longway.data.samples import Samples, equal_parts
from longway.methods._base import FitData
from longway.methods.rwy import RWY


class SUBY(RWY):
    """Train on as many random samples of each class as the smallest class has (SUBY).

    Parameters
    ----------
    **rwy
        All parameters of ``RWY``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (SUBY).
    """

    def _chosen(self, rows: Samples, task: FitData) -> Samples:
        return rows.take(equal_parts(rows.y, rows.weight > 0, task.generator))

    def _balance(self, rows: Samples, task: FitData) -> np.ndarray | None:
        return None  # the classes are equally frequent already
