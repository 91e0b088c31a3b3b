"""Association of signals with the label: intervals, correction for many tests, stability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from longway.auditing.estimates import Z
from longway.auditing.findings import Association
from longway.auditing.signals import Signal, correlations
from longway.data.folds import deal_folds
from longway.utils.records import Estimate

FOLDS = 5


def holm(p: Sequence[float]) -> np.ndarray:
    """Return p-values adjusted for multiple tests by Holm's method.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(raised, 1)
    return adjusted


def associations(signals: Sequence[Signal], codes: np.ndarray, n_classes: int) -> list[Association]:
    """Return the association of each signal with the label, corrected for the number of signals."""
    if not signals:
        return []
    r = np.abs(correlations(np.stack([s.values for s in signals], 1), codes, n_classes)).max(1)
    weight = 1 / np.bincount(codes, minlength=n_classes)[codes]
    n = max(weight.sum() ** 2 / (weight**2).sum(), 4.0)  # effective sample size (Kish)
    p = np.array([_p_value(value, n, n_classes) for value in r])
    half_width = Z / np.sqrt(n - 3)  # Fisher's z-transform: arctanh(r) is about normal with variance 1 / (n - 3)
    found = []
    for value, raw, adjusted in zip(r, p, holm(p.tolist()), strict=True):
        z = np.arctanh(min(value, 1 - 1e-12))
        strength = Estimate(float(value), float(np.tanh(max(z - half_width, 0))), float(np.tanh(z + half_width)))
        found.append(Association(strength, float(raw), float(adjusted)))
    return found


def _p_value(r: float, n: float, n_classes: int) -> float:
    """Return the p-value of the largest of C correlations (Bonferroni; two classes give one test)."""
    tests = 1 if n_classes == 2 else n_classes
    return min(1.0, tests * 2 * t.sf(r * np.sqrt((n - 2) / max(1 - r * r, 1e-12)), n - 2))


def stability(signal: Signal, codes: np.ndarray, n_classes: int, seed: int) -> float:
    """Return the smallest association over folds, divided by the largest; 0 if its sign changes in a fold."""
    fold = deal_folds(codes, FOLDS, np.random.default_rng(seed))
    whole = correlations(signal.values[:, None], codes, n_classes)[0]
    at = int(np.abs(whole).argmax())
    parts = [
        correlations(signal.values[fold == f, None], codes[fold == f], n_classes)[0, at] * np.sign(whole[at])
        for f in range(FOLDS)
        if len(np.unique(codes[fold == f])) == n_classes
    ]
    return float(max(min(parts), 0) / max(parts)) if parts and max(parts) > 0 else 0.0


def threshold_accuracy(signal: Signal, codes: np.ndarray, n_classes: int, seed: int) -> float:
    """Return the cross-validated balanced accuracy of predicting the class with the nearest mean."""
    fold = deal_folds(codes, FOLDS, np.random.default_rng(seed))
    predicted = np.empty(len(codes), np.int64)
    for f in range(FOLDS):
        rest = fold != f
        counts = np.bincount(codes[rest], minlength=n_classes)
        means = np.bincount(codes[rest], signal.values[rest], n_classes) / np.maximum(counts, 1)
        means = np.where(counts > 0, means, np.inf)
        predicted[~rest] = np.abs(signal.values[~rest, None] - means).argmin(1)
    counts = np.bincount(codes, minlength=n_classes)
    return float((np.bincount(codes, predicted == codes, n_classes) / counts).mean())
