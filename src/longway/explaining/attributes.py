"""Measure how much models rely on known attributes, and how well directions align with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from longway.auditing.metadata import column_signals
from longway.explaining.result import Alignment, Reliance
from longway.utils.records import Estimate

MIN_SAMPLES = 5
"""Samples with an attribute, and without it, that a class needs to count."""
Z = 1.96


class Attribute(NamedTuple):
    """The samples that have an attribute, (n,) bool."""

    name: str
    has: np.ndarray


def known_attributes(columns: Mapping[str, np.ndarray], codes: np.ndarray) -> tuple[list[Attribute], list[str]]:
    """Return the attributes that vary within a class, and notes.

    Each frequent value of a column (n,) is an attribute; of two values, only the rarer. A numeric column is split at
    its median.
    """
    signals, notes = column_signals(columns)
    found = []
    for each in signals:
        threshold = float(np.median(each.values)) if each.cut is None else each.cut
        name = f"{each.name}, upper half" if each.cut is None else each.name
        attribute = Attribute(name, each.values > threshold)
        if _classes(attribute.has, codes):
            found.append(attribute)
    return found, notes


def measure_reliance(
    attributes: Sequence[Attribute], log_odds: Mapping[str, np.ndarray], codes: np.ndarray, classes: Sequence[str]
) -> tuple[Reliance, ...]:
    """Measure the reliance on attributes of models with these log-odds (n, C).

    Attributes on which the last model relies less than the first come first.
    """
    found = []
    for each in attributes:
        by_class = {name: [_difference(values[:, c], each.has, codes) for c in range(len(classes))]
                    for name, values in log_odds.items()}  # fmt: skip
        first = next(iter(by_class.values()))
        # The two classes of a binary task mirror each other.
        focus = 1 if len(classes) == 2 else int(np.argmax([abs(estimate.value) for estimate, _ in first]))
        chosen = {name: differences[focus] for name, differences in by_class.items()}
        estimates = {name: estimate for name, (estimate, _) in chosen.items()}
        logits = {name: raw for name, (_, raw) in chosen.items()}
        found.append(Reliance(each.name, classes[focus], int(each.has.sum()), estimates, logits))
    return tuple(sorted(found, key=_decrease, reverse=True))


def _decrease(reliance: Reliance) -> float:
    first, *others = (abs(estimate.value) for estimate in reliance.by_model.values())
    return first - others[-1] if others else first


def _difference(values: np.ndarray, has: np.ndarray, codes: np.ndarray) -> tuple[Estimate, float]:
    """Return the within-class difference of means with and without an attribute, in within-class stds and unscaled.

    Classes are weighted by the precision of their difference, as in a regression on the attribute and the classes.
    """
    differences, weights, errors = [], [], []
    for code in _classes(has, codes):
        with_, without = values[(codes == code) & has], values[(codes == code) & ~has]
        differences.append(with_.mean() - without.mean())
        weights.append(len(with_) * len(without) / (len(with_) + len(without)))
        errors.append(with_.var() / len(with_) + without.var() / len(without))
    weight = np.array(weights) / sum(weights)
    raw, error = float(weight @ differences), float(np.sqrt(weight**2 @ errors))
    inner = [values[codes == code] - values[codes == code].mean() for code in np.unique(codes)]
    scale = float(np.concatenate(inner).std()) or 1.0
    return Estimate(raw / scale, (raw - Z * error) / scale, (raw + Z * error) / scale), raw


def align(
    direction: np.ndarray, points: np.ndarray, attributes: Sequence[Attribute], codes: np.ndarray
) -> tuple[Alignment, ...]:
    """Return the alignment of a direction (d,) with attributes of points (n, d), the closest first."""
    along = points @ direction
    found = []
    for each in attributes:
        kept = _classes(each.has, codes)
        steps = [
            points[(codes == code) & each.has].mean(0) - points[(codes == code) & ~each.has].mean(0) for code in kept
        ]
        areas = [roc_auc_score(each.has[codes == code], along[codes == code]) for code in kept]
        found.append(Alignment(each.name, cosine(direction, np.mean(steps, 0)), float(np.mean(areas))))
    return tuple(sorted(found, key=lambda each: -abs(each.cosine)))


def align_with_class(direction: np.ndarray, points: np.ndarray, own: np.ndarray) -> Alignment:
    """Return the alignment of a direction (d,) with a class: from all other points (n, d) to its ``own``."""
    step = points[own].mean(0) - points[~own].mean(0)
    return Alignment("the label", cosine(direction, step), float(roc_auc_score(own, points @ direction)))


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine of the angle between two vectors (d,); 0 if one is zero.

    Examples
    --------
    >>> cosine(np.array([1.0, 1.0]), np.array([2.0, 0.0])).__round__(3)
    0.707
    """
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / lengths if lengths > 0 else 0.0


def _classes(has: np.ndarray, codes: np.ndarray) -> list[int]:
    """Return the classes with enough samples that have an attribute, and enough that lack it."""
    counts = np.bincount(codes), np.bincount(codes, has)
    return [c for c, (n, k) in enumerate(zip(*counts, strict=True)) if min(k, n - k) >= MIN_SAMPLES]
