"""Tell a second mode from a tail: the evidence that a signal is an attribute of its own.

A signal that the label itself causes has one mode per class, and what lies on the wrong side is its tail, close to the
threshold. A shortcut is an attribute of its own: the samples of a class that lack it lie where the other class lies. So
the classes are skewed towards each other, and contradicting samples lie deeper than a tail would.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import norm, skew

from longway.auditing.signals import SignalSplit

MIN_CONTRADICTING = 5
"""Fewer contradicting samples in a class say nothing about their depth."""


class Bimodality(NamedTuple):
    """Signs of a second mode, each with its standard error.

    Parameters
    ----------
    tilt : float
        Skewness of the classes towards each other: the mean over both sides, averaged with the smaller of the two.
    tilt_error : float
    excess : float
        Depth of contradicting samples on the other side beyond that of a normal tail, in units of the mean depth of
        the samples that usually lie there; NaN if there are too few.
    excess_error : float
    """

    tilt: float
    tilt_error: float
    excess: float
    excess_error: float

    @property
    def evidence(self) -> float:
        """Both signs combined, on the scale of log-odds."""
        # The factors 4 and 20 and the bounds were chosen on development seeds (from 100) of benchmarks/audit.
        depth = 0.0 if np.isnan(self.excess) else 20 * float(np.clip(self.excess - self.excess_error, -0.2, 0.3))
        return 4 * float(np.clip(self.tilt - self.tilt_error, -0.5, 1)) + depth


def measure_bimodality(split: SignalSplit, codes: np.ndarray) -> Bimodality:
    """Measure the signs of a second mode of a split signal in the classes (n,)."""
    n_classes = len(split.usually_above)
    tilts, errors = [], []
    for above in (True, False):
        classes = np.flatnonzero(split.usually_above == above)
        tilts.append(np.mean([(-1 if above else 1) * _skewness(split.values[codes == code]) for code in classes]))
        errors.append(6 / sum(int((codes == code).sum()) for code in classes))  # variance of a skewness: 6 / n
    tilt = (np.mean(tilts) + min(tilts)) / 2
    found = [depth for code in range(n_classes) if (depth := _excess(split, codes, code)) is not None]
    excess, error = (np.mean(part) for part in zip(*found, strict=True)) if found else (np.nan, np.nan)
    error = error / np.sqrt(max(len(found), 1))
    return Bimodality(float(tilt), float(np.sqrt(sum(errors)) / 2), float(excess), float(error))


def _skewness(values: np.ndarray) -> float:
    """Return the skewness with outliers clipped; 0 for constant values."""
    clipped = np.clip(values, *np.quantile(values, [0.005, 0.995]))
    return float(skew(clipped)) if len(values) > 2 and np.ptp(clipped) > 1e-9 * np.abs(values).max() else 0.0


def _excess(split: SignalSplit, codes: np.ndarray, code: int) -> tuple[float, float] | None:
    """Return the depth of a class's contradicting samples beyond a tail, and its error; None if there are too few."""
    own = codes == code
    depths = split.values[own & split.contradicting] - split.threshold
    residents = (split.usually_above[codes] != split.usually_above[code]) & ~split.contradicting
    if len(depths) < MIN_CONTRADICTING or not residents.any():
        return None
    scale = split.values[residents].mean() - split.threshold
    share = min(len(depths) / own.sum(), 0.5)
    at = norm.isf(share)
    # Two normals meet at the threshold: pdf(at) / share - at is the mean depth of the tail beyond it, and
    # at + pdf(at) / (1 - share) that of the samples on their own side.
    expected = (norm.pdf(at) / share - at) / (at + norm.pdf(at) / (1 - share))
    relative = depths / scale
    # 0.3 / n keeps the error above 0 where a few samples happen to agree; chosen by hand.
    return float(relative.mean() - expected), float(relative.std() / np.sqrt(len(depths)) + 0.3 / len(depths))
