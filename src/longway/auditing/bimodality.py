"""Whether the samples that contradict a signal are its tail, or samples with another value of a hidden attribute.

A signal that the label itself causes has one mode in each class, and what lies on the wrong side is its tail, close to
the threshold. A shortcut is an attribute of its own: the samples of a class that lack it lie where the other class
lies. So the classes are skewed towards each other, and contradicting samples lie deeper than a tail would.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import norm, skew

from longway.auditing.signals import SignalSplit

FEW = 5
"""Contradicting samples of a class below which nothing is said of how deep they lie."""


class Bimodality(NamedTuple):
    """Signs of a second mode, each with its standard error.

    Parameters
    ----------
    tilt : float
        Skewness of the classes towards each other: the mean of both sides and the smaller one, averaged.
    tilt_error : float
    excess : float
        How deep contradicting samples lie on the other side, in units of what lies there by right, beyond what the
        tail of a normal distribution would; NaN where there are too few.
    excess_error : float
    """

    tilt: float
    tilt_error: float
    excess: float
    excess_error: float

    @property
    def evidence(self) -> float:
        """Both together, on the scale of log-odds."""
        deep = 0.0 if np.isnan(self.excess) else 20 * float(np.clip(self.excess - self.excess_error, -0.2, 0.3))
        return 4 * float(np.clip(self.tilt - self.tilt_error, -0.5, 1)) + deep


def modes(sides: SignalSplit, codes: np.ndarray) -> Bimodality:
    """Look for second modes of a split signal in classes (n,)."""
    n_classes = len(sides.usual)
    tilts, errors = [], []
    for up in (True, False):
        classes = [code for code in range(n_classes) if sides.usual[code] == up]
        towards = [(-1 if up else 1) * _skewness(sides.values[codes == code]) for code in classes]
        tilts.append(np.mean(towards))
        errors.append(6 / sum(int((codes == code).sum()) for code in classes))
    tilt = (np.mean(tilts) + min(tilts)) / 2
    found = [depth for code in range(n_classes) if (depth := _excess(sides, codes, code)) is not None]
    excess, error = (np.mean(part) for part in zip(*found, strict=True)) if found else (np.nan, np.nan)
    error = error / np.sqrt(max(len(found), 1))
    return Bimodality(float(tilt), float(np.sqrt(sum(errors)) / 2), float(excess), float(error))


def _skewness(values: np.ndarray) -> float:
    """Return the skewness without what a few outliers do to it; 0 where values do not differ."""
    clipped = np.clip(values, *np.quantile(values, [0.005, 0.995]))
    return float(skew(clipped)) if len(values) > 2 and np.ptp(clipped) > 1e-9 * np.abs(values).max() else 0.0


def _excess(sides: SignalSplit, codes: np.ndarray, code: int) -> tuple[float, float] | None:
    """Return by how much a class's contradicting samples lie deeper than a tail, with its error; None of too few."""
    own = codes == code
    against = sides.values[own & sides.against] - sides.threshold
    other = (sides.usual[codes] != sides.usual[code]) & ~sides.against
    if len(against) < FEW or not other.any():
        return None
    scale = sides.values[other].mean() - sides.threshold
    share = min(len(against) / own.sum(), 0.5)
    at = norm.isf(share)
    expected = (norm.pdf(at) / share - at) / (at + norm.pdf(at) / (1 - share))
    depth = against / scale
    return float(depth.mean() - expected), float(depth.std() / np.sqrt(len(against)) + 0.3 / len(against))
