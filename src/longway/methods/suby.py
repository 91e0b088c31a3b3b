"""Subsampled classes: as many samples of each class as the rarest has."""

from __future__ import annotations

import numpy as np

from longway.data.samples import Samples
from longway.data.weights import draw_equally
from longway.methods._registry import register
from longway.methods.erm import ERM


def equal_classes(rows: Samples, generator: np.random.Generator) -> np.ndarray:
    """Draw as many samples of each class as the rarest has."""
    return draw_equally(rows.y, generator, rows.weight > 0)


@register
class SUBY(ERM):
    """Train on as many random samples of each class as the rarest class has (SUBY).

    Parameters
    ----------
    selection : default "worst_class"
    **erm
        All parameters of ``ERM``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (SUBY).
    """

    subset = staticmethod(equal_classes)

    selection: str = "worst_class"
