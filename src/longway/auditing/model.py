"""The model that is audited: what it says of each row, and what it would say of changed rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from longway.auditing.pca import PIECE, Space
from longway.auditing.probes import ORDINARY, ask, cross_fitted, probabilities
from longway.auditing.result import ModelFacts
from longway.metrics.group_metrics import wilson_interval
from longway.utils.errors import LongwayError
from longway.utils.records import Estimate


@dataclass(frozen=True)
class AuditedModel:
    """A model's predictions.

    Parameters
    ----------
    kind : {"model", "predictions", "fitted here"}
    name : str
    probabilities : ndarray of shape (n, C)
        One-hot where only labels were given.
    moved : callable or None
        ``moved(shift)`` returns the probabilities (n, C) of rows whose coordinates are changed by (n, k); None where
        the model cannot be asked.
    """

    kind: Literal["model", "predictions", "fitted here"]
    name: str
    probabilities: np.ndarray
    moved: Callable[[np.ndarray], np.ndarray] | None

    @property
    def codes(self) -> np.ndarray:
        """Predicted classes, (n,)."""
        return self.probabilities.argmax(1)

    def facts(self, codes: np.ndarray, classes: Sequence[str]) -> ModelFacts:
        """Return what there is to say of it."""
        right = self.codes == codes
        by_class = {name: accuracy(right[codes == code]) for code, name in enumerate(classes)}
        return ModelFacts(self.kind, self.name, accuracy(right), by_class)


def accuracy(right: np.ndarray) -> Estimate:
    """Return the share of right predictions (n,) with its Wilson interval; NaN of none."""
    low, high = wilson_interval(int(right.sum()), len(right))
    return Estimate(float(right.mean()) if len(right) else float("nan"), float(low), float(high))


def fitted_here(points: np.ndarray, codes: np.ndarray, n_classes: int, parts: Sequence[np.ndarray]) -> AuditedModel:
    """Return an ordinary linear head, fitted to either half and judging the other."""
    logits, heads = cross_fitted(points, codes, np.zeros_like(codes), n_classes, ORDINARY, parts)

    def moved(shift: np.ndarray) -> np.ndarray:
        changed = np.empty_like(logits)
        for head, other in zip(heads, reversed(parts), strict=True):
            changed[other] = ask(head, points[other] + shift[other])
        return probabilities(changed)

    return AuditedModel("fitted here", "ordinary linear head", probabilities(logits), moved)


def given_model(model: Any, X: Any, space: Space | None, classes: np.ndarray) -> AuditedModel:
    """Return a classifier with ``predict_proba`` or ``predict``; ``space`` is None where X is not its features.

    Raises
    ------
    LongwayError
        It has neither, fails on the data, or knows other classes.
    """
    asked = getattr(model, "predict_proba", None) or getattr(model, "predict", None)
    if asked is None:
        raise LongwayError(f"model={type(model).__name__} has neither predict_proba nor predict: give a classifier")
    known = np.asarray(getattr(model, "classes_", classes))

    def call(inputs: Any) -> np.ndarray:
        try:
            said = np.asarray(asked(inputs))
        except LongwayError:
            raise
        except Exception as error:
            raise LongwayError(f"model={type(model).__name__} fails on the data: {error}") from error
        return given_predictions(said, len(inputs), known, classes, "what model returns")

    found = call(X)

    def moved(shift: np.ndarray) -> np.ndarray:
        assert space is not None
        pieces = (slice(start, start + PIECE) for start in range(0, len(X), PIECE))
        return np.concatenate([call((X[piece] + space.back(shift[piece])).astype(X.dtype)) for piece in pieces])

    return AuditedModel("model", type(model).__name__, found, None if space is None else moved)


def given_predictions(
    predictions: Any, n: int, known: np.ndarray, classes: np.ndarray, name: str = "predictions"
) -> np.ndarray:
    """Return probabilities (n, C), columns as in ``classes``, of labels (n,) or probabilities (n, K) of known classes.

    Raises
    ------
    LongwayError
        They have another shape, are no probabilities, or name classes that the labels do not.
    """
    array = np.asarray(predictions)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != n:
        raise LongwayError(f"{name} has shape {array.shape}: give {n} labels, or probabilities ({n}, {len(known)})")
    where = {str(label): k for k, label in enumerate(classes.tolist())}
    if array.ndim == 1:
        return _one_hot(array, where, known, name)
    if array.shape[1] != len(known):
        raise LongwayError(f"{name} has {array.shape[1]} columns for {len(known)} classes: give one for each class")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise LongwayError(f"{name} holds NaN, infinity or no numbers: give probabilities")
    if array.min() < -1e-6 or np.abs(array.sum(1) - 1).max() > 1e-2:
        row = int(np.argmax((array.min(1) < -1e-6) | (np.abs(array.sum(1) - 1) > 1e-2)))
        raise LongwayError(
            f"{name} are not probabilities: row {row} holds {array[row].tolist()[:5]}, which must be 0 or more and "
            "sum to 1; give softmax outputs, or labels"
        )
    found = np.zeros((n, len(classes)))
    for k, label in enumerate(known.tolist()):
        if str(label) in where:
            found[:, where[str(label)]] = array[:, k]
    return found


def _one_hot(labels: np.ndarray, where: Mapping[str, int], known: np.ndarray, name: str) -> np.ndarray:
    texts = [str(int(v)) if labels.dtype.kind == "f" and float(v).is_integer() else str(v) for v in labels.tolist()]
    strange = sorted({text for text in texts if text not in where and text not in {str(k) for k in known.tolist()}})
    if strange:
        raise LongwayError(
            f"{name} holds {strange[0]!r}, which is no class of y ({', '.join(list(where)[:5])}): give labels as in y, "
            "or probabilities with one column for each class"
        )
    found = np.zeros((len(texts), len(where)))
    for row, text in enumerate(texts):
        if text in where:
            found[row, where[text]] = 1
    return found
