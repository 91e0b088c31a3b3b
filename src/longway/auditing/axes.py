"""Find signals in features: principal components, and the simplest directions between classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longway.auditing.pca import PIECE, PCASpace
from longway.auditing.probes import STRONG, cross_fit_heads
from longway.auditing.signals import Signal, center_by_class
from longway.linear.feature_head import FeatureHead

COMPONENTS = 20
"""Leading components that become signals."""
DIRECTIONS = 10
"""Classes, the largest first, whose simplest direction becomes a signal."""


def component_signals(points: np.ndarray, codes: np.ndarray, space: PCASpace) -> list[Signal]:
    """Return the leading components, each in units of its standard deviation.

    Changing an input along a component also changes what varies with it within classes: a core and a shortcut that are
    both correlated with the label share a component and differ only within classes.
    """
    scatter, found = _within_class_covariance(points, codes), []
    for j in range(min(COMPONENTS, points.shape[1])):
        percentage = 100 * space.deviation[j] ** 2 / max((space.deviation**2).sum(), 1e-300)
        description = f"Principal component {j} of the features; it holds {percentage:.1f} % of their variance."
        line = np.zeros(points.shape[1])
        line[j] = 1 / space.deviation[j]
        found.append(Signal(f"axis {j}", description, "axis", j, points @ line, _shift_along(scatter, line)))
    return found


def simplest_directions(
    points: np.ndarray, codes: np.ndarray, classes: Sequence[str], halves: Sequence[np.ndarray]
) -> list[Signal]:
    """Return the directions by which a strongly penalised head separates the classes.

    Each sample is read by a head that did not see it. Two classes give one direction, more give one per class.
    """
    n_classes, scatter = len(classes), _within_class_covariance(points, codes)
    logits, heads = cross_fit_heads(points, codes, codes, n_classes, STRONG, halves)
    if n_classes == 2:
        chosen = {1: "the classes"}
    else:
        largest = np.argsort(-np.bincount(codes, minlength=n_classes), kind="stable")[:DIRECTIONS]
        chosen = {code: f"{classes[code]!r} from the rest" for code in sorted(largest.tolist())}
    found = []
    for code, separated in chosen.items():
        name = "simplest direction" + (f" of {classes[code]!r}" if n_classes > 2 else "")
        description = f"The direction by which a strongly penalised linear head separates {separated}."
        values = logits[:, code] - np.delete(logits, code, 1).max(1)
        std = max(float(values.std()), 1e-12)
        direction = _head_direction(heads, scatter, code) * std
        found.append(Signal(name, description, "axis", -1, values / std, direction, 0.0, fitted_to_labels=True))
    return found


def label_features(X: np.ndarray, codes: np.ndarray) -> list[Signal]:
    """Return the features that are a recoding of the label."""
    classes = np.unique(codes)
    firsts = X[[int(np.argmax(codes == code)) for code in classes]]
    constant = np.ones(X.shape[1], bool)
    for start in range(0, len(X), PIECE):
        constant &= (firsts[codes[start : start + PIECE]] == X[start : start + PIECE]).all(0)
    return [
        Signal(f"feature {j}", f"Feature column {j}, unchanged.", "axis", int(j), X[:, j].astype(np.float64))
        for j in np.flatnonzero(constant)
        if len(np.unique(firsts[:, j])) == len(classes)
    ]


def _shift_along(scatter: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Return the shift of coordinates that raises ``points @ line`` by 1.

    It also shifts what varies with ``line`` within classes: it is the regression of the coordinates on it.
    """
    covariance = scatter @ line
    return covariance / max(float(line @ covariance), 1e-300)


def _within_class_covariance(points: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the covariance (k, k) of points (n, k) within classes."""
    centred = center_by_class(points, codes)
    return centred.T @ centred / len(points)


def _head_direction(heads: Sequence[FeatureHead], scatter: np.ndarray, code: int) -> np.ndarray:
    """Return the shift of coordinates that raises a class's logit, relative to the mean of the others, by 1."""
    weight = np.mean([head.linear.weight.detach().numpy().astype(np.float64) for head in heads], axis=0)
    return _shift_along(scatter, weight[code] - np.delete(weight, code, 0).mean(0))
