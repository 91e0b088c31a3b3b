"""Measure how much a model relies on a signal: by shifting inputs along it, or from predictions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longway.auditing.estimates import Z, balanced_accuracy, symmetric
from longway.auditing.findings import Reliance
from longway.auditing.model import AuditedModel
from longway.auditing.signals import Signal, SignalSplit, center_by_class
from longway.utils.records import Estimate

MIN_CONTRADICTING = 8
"""Contradicting samples that a class needs to show what changes with a signal within it."""


def measure_reliance(
    model: AuditedModel, signal: Signal, split: SignalSplit, codes: np.ndarray, classes: Sequence[str], seed: int
) -> Reliance:
    """Measure how much a model relies on a split signal."""
    correct = model.codes == codes
    flip_rate, shuffled = None, None
    if model.predict_shifted is not None and signal.direction is not None:
        sensitivity = _sensitivity_by_shifting(model, signal, split)
        generator = np.random.default_rng(seed)
        flip_rate = float((_with_swapped(model, signal, _from_other_class(codes, generator)) != model.codes).mean())
        within = _with_swapped(model, signal, _from_own_class(codes, generator)) == codes
        shuffled = {name: float(within[codes == code].mean()) for code, name in enumerate(classes)}
    else:
        sensitivity = _sensitivity_from_predictions(model.probabilities[:, split.focus], split.values, codes)
    return Reliance(
        how="predictions" if flip_rate is None else "intervention",
        sensitivity=sensitivity,
        flip_rate=flip_rate,
        shuffled_accuracy=shuffled,
        accuracy={name: float(correct[codes == code].mean()) for code, name in enumerate(classes)},
        aligned_accuracy=balanced_accuracy(correct, codes, ~split.contradicting),
        contradicting_accuracy=balanced_accuracy(correct, codes, split.contradicting),
    )


def with_side_direction(signal: Signal, split: SignalSplit, points: np.ndarray, codes: np.ndarray) -> Signal:
    """Return the signal with the direction between the two sides within classes, if enough samples lie on both.

    This is what changing the attribute does, and nothing else: a shift along a component, or along anything correlated
    with the label, would change the core as well.
    """
    across, step = np.zeros(points.shape[1]), 0.0
    for code in np.unique(codes):
        unusual, usual = ((codes == code) & side for side in (split.contradicting, ~split.contradicting))
        if unusual.sum() < MIN_CONTRADICTING or not usual.any():
            continue
        sign = -1 if split.usually_above[code] else 1
        across += sign * (points[unusual].mean(0) - points[usual].mean(0))
        step += sign * float(signal.values[unusual].mean() - signal.values[usual].mean())
    return replace(signal, direction=across / step) if step else signal


def _sensitivity_by_shifting(model: AuditedModel, signal: Signal, split: SignalSplit) -> Estimate:
    """Return the mean change of the focus class's probability when all samples move by one std along the signal."""
    assert model.predict_shifted is not None
    assert signal.direction is not None
    n = len(signal.values)
    step = split.sign * float(signal.values.std()) * np.tile(signal.direction, (n, 1))
    change = (model.predict_shifted(step / 2) - model.predict_shifted(-step / 2))[:, split.focus]
    return symmetric(float(change.mean()), Z * float(change.std()) / np.sqrt(n))


def _sensitivity_from_predictions(probability: np.ndarray, values: np.ndarray, codes: np.ndarray) -> Estimate:
    """Return the within-class slope of a predicted probability on a signal, times the signal's std."""
    inner, outcome = center_by_class(values, codes), center_by_class(probability, codes)
    power = float(inner @ inner)
    if power <= 1e-12 * max(float(values @ values), 1e-300):
        return Estimate(float("nan"), float("nan"), float("nan"))
    slope = float(inner @ outcome) / power
    residual = outcome - slope * inner
    error = Z * float(np.sqrt((inner**2 * residual**2).sum())) / power  # robust to unequal variances (White)
    std = float(values.std())
    return Estimate(slope * std, (slope - error) * std, (slope + error) * std)


def _from_other_class(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the position of a random sample of another class for each sample."""
    partner = np.empty(len(codes), np.int64)
    for code in np.unique(codes):
        own, others = np.flatnonzero(codes == code), np.flatnonzero(codes != code)
        partner[own] = generator.choice(others, len(own))
    return partner


def _from_own_class(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a permutation of the samples within each class."""
    partner = np.arange(len(codes))
    for code in np.unique(codes):
        own = np.flatnonzero(codes == code)
        partner[own] = generator.permutation(own)
    return partner


def _with_swapped(model: AuditedModel, signal: Signal, partner: np.ndarray) -> np.ndarray:
    """Return the predicted classes when each sample takes the signal's value from its partner."""
    assert model.predict_shifted is not None
    assert signal.direction is not None
    return model.predict_shifted(np.outer(signal.values[partner] - signal.values, signal.direction)).argmax(1)
