"""Estimates with 95 % intervals: accuracies (Wilson) and normal approximations."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

from longway.metrics.group_metrics import wilson_interval
from longway.utils.records import Estimate

Z = float(norm.isf(0.025))


def proportion(successes: float, n: float) -> Estimate:
    """Return a proportion with its Wilson interval; NaN if there are no samples."""
    low, high = wilson_interval(successes, n)
    return Estimate(float(successes / n) if n else float("nan"), float(low), float(high))


def accuracy(correct: np.ndarray) -> Estimate:
    """Return the proportion of correct predictions (n,)."""
    return proportion(int(correct.sum()), len(correct))


def balanced_accuracy(correct: np.ndarray, codes: np.ndarray, chosen: np.ndarray) -> Estimate:
    """Return the accuracy on chosen samples with classes weighted equally, and the Wilson interval for that many."""
    by_class = [correct[chosen & (codes == code)].mean() for code in np.unique(codes[chosen])]
    if not by_class:
        return proportion(0, 0)
    n = int(chosen.sum())
    low, high = wilson_interval(float(np.mean(by_class)) * n, n)
    return Estimate(float(np.mean(by_class)), float(low), float(high))


def symmetric(value: float, half_width: float, low: float = -1.0, high: float = 1.0) -> Estimate:
    """Return a value with an interval of half_width on either side, cut off where values end."""
    return Estimate(float(value), float(max(value - half_width, low)), float(min(value + half_width, high)))


def area(positive: np.ndarray, score: np.ndarray) -> Estimate:
    """Return the area under the curve with which scores (n,) separate positives (n,), with DeLong's interval."""
    ranks, inside, outside = rankdata(score), rankdata(score[positive]), rankdata(score[~positive])
    n, m = len(inside), len(outside)
    above, below = (ranks[positive] - inside) / m, 1 - (ranks[~positive] - outside) / n
    # 1 / (12 n) is the variance of a mean of uniform numbers: it keeps the error above 0 where all are separated.
    error = np.sqrt((above.var() + 1 / (12 * n)) / n + (below.var() + 1 / (12 * m)) / m)
    return symmetric(float(above.mean()), Z * float(error), 0.0)
