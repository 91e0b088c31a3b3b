"""Reweighted classes: every class has the same total weight."""

from __future__ import annotations

import numpy as np

from longway.data.samples import Samples
from longway.data.weights import inverse_frequency
from longway.methods._registry import register
from longway.methods.erm import ERM


def by_class(rows: Samples) -> np.ndarray:
    """Weight samples so that every class has the same total weight."""
    return inverse_frequency(rows.y, rows.weight)


@register
class RWY(ERM):
    """Train on batches in which all classes are equally frequent (RWY); a linear head weights its loss instead.

    Parameters
    ----------
    selection : default "worst_class"
    **erm
        All parameters of ``ERM``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (RWY).
    """

    weighting = staticmethod(by_class)

    selection: str = "worst_class"
