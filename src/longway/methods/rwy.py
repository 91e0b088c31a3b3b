"""Reweighted classes: every class counts the same, without a look at groups."""

from __future__ import annotations

import numpy as np

from longway.data.samples import Samples, inverse_frequency
from longway.methods._base import FitData
from longway.methods._parameters import parameters
from longway.methods.erm import ERM


@parameters
class RWY(ERM):
    """Train on batches in which every class is as frequent (RWY); a linear head weighs its loss instead.

    Parameters
    ----------
    selection : str, default "worst_class"
    **erm
        All parameters of ``ERM``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (RWY).
    """

    selection: str = "worst_class"

    def _balance(self, rows: Samples, task: FitData) -> np.ndarray | None:
        return inverse_frequency(rows.y, rows.weight)
