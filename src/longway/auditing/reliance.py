"""How far a model uses a signal: by changing inputs along it, or from predictions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from longway.auditing.findings import Reliance
from longway.auditing.model import AuditedModel, accuracy
from longway.auditing.signals import Signal, SignalSplit
from longway.metrics.group_metrics import wilson_interval
from longway.utils.records import Estimate

Z = float(norm.isf(0.025))
ENOUGH = 8
"""Contradicting samples of a class that tell what changes with a signal within it."""


def reliance(
    judge: AuditedModel, signal: Signal, sides: SignalSplit, codes: np.ndarray, classes: Sequence[str], seed: int
) -> Reliance:
    """Measure how far a model uses a signal that is split into sides."""
    right = judge.codes == codes
    flip, shuffled = None, None
    if judge.moved is not None and signal.direction is not None:
        sensitivity = _by_moving(judge, signal, sides)
        generator = np.random.default_rng(seed)
        flip = _flip_rate(judge, signal, codes, generator)
        shuffled = _shuffled(judge, signal, codes, classes, generator)
    else:
        sensitivity = _by_slope(judge.probabilities[:, sides.focus], sides.values, codes)
    return Reliance(
        how="predictions" if flip is None else "intervention",
        sensitivity=sensitivity,
        flip_rate=flip,
        shuffled_accuracy=shuffled,
        accuracy={name: float(right[codes == code].mean()) for code, name in enumerate(classes)},
        aligned_accuracy=over_classes(right, codes, ~sides.against),
        contradicting_accuracy=over_classes(right, codes, sides.against),
    )


def between_sides(signal: Signal, sides: SignalSplit, points: np.ndarray, codes: np.ndarray) -> Signal:
    """Return the signal with the direction from one side to the other within classes, where enough rows are on both.

    It is what a change of the attribute does, and only that: along a component, or along what goes with the label, the
    core would be changed too.
    """
    across, step = np.zeros(points.shape[1]), 0.0
    for code in np.unique(codes):
        own = codes == code
        against, along = own & sides.against, own & ~sides.against
        if against.sum() < ENOUGH or not along.any():
            continue
        turn = 1 if not sides.usual[code] else -1
        across += turn * (points[against].mean(0) - points[along].mean(0))
        step += turn * float(signal.values[against].mean() - signal.values[along].mean())
    return replace(signal, direction=across / step) if step else signal


def over_classes(right: np.ndarray, codes: np.ndarray, chosen: np.ndarray) -> Estimate:
    """Return the accuracy of chosen rows, classes weighted alike, with the Wilson interval of as many rows."""
    parts = [right[chosen & (codes == code)].mean() for code in np.unique(codes[chosen])]
    if not parts:
        return accuracy(right[:0])
    n = int(chosen.sum())
    low, high = wilson_interval(float(np.mean(parts)) * n, n)
    return Estimate(float(np.mean(parts)), float(low), float(high))


def _by_moving(judge: AuditedModel, signal: Signal, sides: SignalSplit) -> Estimate:
    """Return what one deviation along the signal does to the probability of its focus class, over all rows."""
    assert judge.moved is not None
    assert signal.direction is not None
    n = len(signal.values)
    step = sides.sign * float(signal.values.std()) * np.tile(signal.direction, (n, 1))
    change = (judge.moved(step / 2) - judge.moved(-step / 2))[:, sides.focus]
    error = Z * float(change.std()) / np.sqrt(n)
    return Estimate(float(change.mean()), float(change.mean() - error), float(change.mean() + error))


def _by_slope(probability: np.ndarray, values: np.ndarray, codes: np.ndarray) -> Estimate:
    """Return the slope of a predicted probability on a signal within classes, times the signal's deviation."""
    inner, outcome = values.astype(np.float64).copy(), probability.astype(np.float64).copy()
    for code in np.unique(codes):
        own = codes == code
        inner[own] -= inner[own].mean()
        outcome[own] -= outcome[own].mean()
    power = float(inner @ inner)
    if power <= 1e-12 * max(float(values @ values), 1e-300):
        return Estimate(float("nan"), float("nan"), float("nan"))
    slope = float(inner @ outcome) / power
    residual = outcome - slope * inner
    error = Z * float(np.sqrt((inner**2 * residual**2).sum())) / power
    spread = float(values.std())
    return Estimate(slope * spread, (slope - error) * spread, (slope + error) * spread)


def _flip_rate(judge: AuditedModel, signal: Signal, codes: np.ndarray, generator: np.random.Generator) -> float:
    """Return the share of predictions that change when each row gets the signal of a row of another class."""
    assert judge.moved is not None
    assert signal.direction is not None
    partner = np.empty(len(codes), np.int64)
    for code in np.unique(codes):
        own, others = np.flatnonzero(codes == code), np.flatnonzero(codes != code)
        partner[own] = generator.choice(others, len(own))
    shift = np.outer(signal.values[partner] - signal.values, signal.direction)
    return float((judge.moved(shift).argmax(1) != judge.codes).mean())


def _shuffled(
    judge: AuditedModel, signal: Signal, codes: np.ndarray, classes: Sequence[str], generator: np.random.Generator
) -> dict[str, float]:
    """Return the accuracy in each class when the signal is shuffled within it."""
    assert judge.moved is not None
    assert signal.direction is not None
    partner = np.arange(len(codes))
    for code in np.unique(codes):
        own = np.flatnonzero(codes == code)
        partner[own] = generator.permutation(own)
    shift = np.outer(signal.values[partner] - signal.values, signal.direction)
    right = judge.moved(shift).argmax(1) == codes
    return {name: float(right[codes == code].mean()) for code, name in enumerate(classes)}
