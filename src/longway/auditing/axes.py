"""Signals that are read off a representation: its components, and the simplest directions between classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longway.auditing.pca import Space
from longway.auditing.probes import SIMPLE, cross_fitted, probabilities
from longway.auditing.signals import Signal
from longway.linear.module import FeatureHead

COMPONENTS = 20
"""Leading components that are looked at one by one."""
DIRECTIONS = 10
"""Classes, at most, whose directions are looked at; the largest ones where there are more."""


def components(points: np.ndarray, codes: np.ndarray, space: Space) -> list[Signal]:
    """Return the leading components, each in units of its deviation.

    Where an input is changed along one, what changes with it is what varies with it within classes: a core and a
    shortcut that go with the label share a component, and are told apart only there.
    """
    scatter, found = _within(points, codes), []
    for j in range(min(COMPONENTS, points.shape[1])):
        share = 100 * space.deviation[j] ** 2 / max((space.deviation**2).sum(), 1e-300)
        about = f"Principal component {j} of the features; it holds {share:.1f} % of their variance."
        line = np.zeros(points.shape[1])
        line[j] = 1 / space.deviation[j]
        found.append(Signal(f"axis {j}", about, "axis", j, points @ line, _varying(scatter, line)))
    return found


def _varying(scatter: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Return the change of coordinates that raises ``points @ line`` by 1, by what varies with it within classes."""
    covered = scatter @ line
    return covered / max(float(line @ covered), 1e-300)


def _within(points: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the covariance (k, k) of points (n, k) within classes."""
    centred = points.copy()
    for code in np.unique(codes):
        centred[codes == code] -= centred[codes == code].mean(0)
    return centred.T @ centred / len(points)


def simplest(
    points: np.ndarray,
    codes: np.ndarray,
    classes: Sequence[str],
    parts: Sequence[np.ndarray],
) -> tuple[list[Signal], np.ndarray]:
    """Return the directions by which a strongly penalised head tells the classes apart, and that head's predictions.

    Each row is read by a head that did not see it. With two classes it is one direction, else one for each class.

    Returns
    -------
    signals : list of Signal
    probabilities : ndarray of shape (n, C)
    """
    n_classes, scatter = len(classes), _within(points, codes)
    logits, heads = cross_fitted(points, codes, codes, n_classes, SIMPLE, parts)
    if n_classes == 2:
        about = "The direction by which a strongly penalised linear head tells the classes apart."
        values = logits[:, 1] - logits[:, 0]
        scaled, direction = _in_deviations(values, _direction(heads, scatter, 1, 0))
        only = Signal("simplest direction", about, "axis", -1, scaled, direction, 0.0, True)
        return [only], probabilities(logits)
    found = []
    for code in sorted(np.argsort(-np.bincount(codes, minlength=n_classes), kind="stable")[:DIRECTIONS].tolist()):
        about = f"The direction by which a strongly penalised linear head tells {classes[code]!r} from the rest."
        values = logits[:, code] - np.delete(logits, code, 1).max(1)
        scaled, direction = _in_deviations(values, _direction(heads, scatter, code, None))
        found.append(
            Signal(f"simplest direction of {classes[code]!r}", about, "axis", -1, scaled, direction, 0.0, True)
        )
    return found, probabilities(logits)


def _in_deviations(values: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put a signal and its direction into units of its deviation."""
    spread = max(float(values.std()), 1e-12)
    return values / spread, direction * spread


def _direction(heads: Sequence[FeatureHead], scatter: np.ndarray, code: int, against: int | None) -> np.ndarray:
    """Return the change of coordinates that raises a class's logit by 1."""
    weight = np.mean([head.linear.weight.detach().numpy().astype(np.float64) for head in heads], axis=0)
    other = np.delete(weight, code, 0).mean(0) if against is None else weight[against]
    return _varying(scatter, weight[code] - other)
