"""Wrap the audited model: its predictions on each sample, and on shifted samples if it can be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import softmax

from longway.auditing.estimates import accuracy
from longway.auditing.features import Representation
from longway.auditing.pca import PIECE, PCASpace
from longway.auditing.probes import ORDINARY, cross_fit_heads, head_logits
from longway.auditing.result import ModelFacts
from longway.utils.errors import LongwayError


@dataclass(frozen=True)
class AuditedModel:
    """A model's predictions.

    Parameters
    ----------
    kind : {"model", "predictions", "fitted here"}
    name : str
    probabilities : ndarray of shape (n, C)
        One-hot if only labels were given.
    predict_shifted : callable or None
        Maps shifts of the samples' coordinates (n, k) to probabilities (n, C); None if the model cannot be called.
    """

    kind: Literal["model", "predictions", "fitted here"]
    name: str
    probabilities: np.ndarray
    predict_shifted: Callable[[np.ndarray], np.ndarray] | None

    @property
    def codes(self) -> np.ndarray:
        """Predicted classes, (n,)."""
        return self.probabilities.argmax(1)

    def facts(self, codes: np.ndarray, classes: Sequence[str]) -> ModelFacts:
        """Return its kind, name and accuracy for the record."""
        correct = self.codes == codes
        by_class = {name: accuracy(correct[codes == code]) for code, name in enumerate(classes)}
        return ModelFacts(self.kind, self.name, accuracy(correct), by_class)


def fit_linear_model(
    points: np.ndarray, codes: np.ndarray, n_classes: int, halves: Sequence[np.ndarray]
) -> AuditedModel:
    """Fit an ordinary linear head to each half and apply it to the other."""
    logits, heads = cross_fit_heads(points, codes, np.zeros_like(codes), n_classes, ORDINARY, halves)

    def predict_shifted(shift: np.ndarray) -> np.ndarray:
        changed = np.empty_like(logits)
        for head, other in zip(heads, reversed(halves), strict=True):
            changed[other] = head_logits(head, points[other] + shift[other])
        return softmax(changed, axis=1)

    return AuditedModel("fitted here", "ordinary linear head", softmax(logits, axis=1), predict_shifted)


def wrap_model(model: Any, X: Any, space: PCASpace | None, classes: np.ndarray) -> AuditedModel:
    """Wrap a classifier with ``predict_proba`` or ``predict``; ``space`` is None unless X are the audited features.

    Raises
    ------
    LongwayError
        The model has neither method, fails on the data, or knows other classes.
    """
    predict = getattr(model, "predict_proba", None) or getattr(model, "predict", None)
    if predict is None:
        raise LongwayError(f"model={type(model).__name__} has neither predict_proba nor predict: give a classifier")
    known = np.asarray(getattr(model, "classes_", classes))

    def call(inputs: Any) -> np.ndarray:
        try:
            predictions = np.asarray(predict(inputs))
        except LongwayError:
            raise
        except Exception as error:
            raise LongwayError(f"model={type(model).__name__} fails on the data: {error}") from error
        return to_probabilities(predictions, len(inputs), known, classes, "the model's output")

    probabilities = call(X)

    def predict_shifted(shift: np.ndarray) -> np.ndarray:
        assert space is not None
        pieces = (slice(start, start + PIECE) for start in range(0, len(X), PIECE))
        return np.concatenate(
            [call((X[piece] + space.shift_features(shift[piece])).astype(X.dtype)) for piece in pieces]
        )

    return AuditedModel("model", type(model).__name__, probabilities, None if space is None else predict_shifted)


def audited_model(view: Representation, space: PCASpace, model: Any, predictions: Any) -> AuditedModel | None:
    """Return the given model or predictions; None if neither was given."""
    inputs = view.inputs
    if model is not None:
        return wrap_model(model, inputs.X, space if view.is_input else None, inputs.classes)
    if predictions is None:
        return None
    array = np.asarray(predictions)
    if array.ndim == 0 or len(array) != inputs.n_given:
        raise LongwayError(
            f"predictions has shape {array.shape}: give one row for each of the {inputs.n_given} samples"
        )
    found = to_probabilities(array[inputs.rows], len(inputs.rows), inputs.classes, inputs.classes)
    return AuditedModel("predictions", "the given predictions", found, None)


def to_probabilities(
    predictions: Any, n: int, known: np.ndarray, classes: np.ndarray, name: str = "predictions"
) -> np.ndarray:
    """Convert labels (n,), or probabilities (n, K) of known classes, to probabilities (n, C) in the order of classes.

    Raises
    ------
    LongwayError
        They have another shape, are not probabilities, or name an unknown class.
    """
    array = np.asarray(predictions)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != n:
        raise LongwayError(f"{name} has shape {array.shape}: give {n} labels, or probabilities ({n}, {len(known)})")
    column_of = {str(label): k for k, label in enumerate(classes.tolist())}
    if array.ndim == 1:
        return _one_hot(array, column_of, known, name)
    if array.shape[1] != len(known):
        raise LongwayError(f"{name} has {array.shape[1]} columns for {len(known)} classes: give one column per class")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise LongwayError(f"{name} holds NaN, infinity or values that are not numbers: give probabilities")
    wrong = (array.min(1) < -1e-6) | (np.abs(array.sum(1) - 1) > 1e-2)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise LongwayError(
            f"{name} are not probabilities: row {row} holds {array[row].tolist()[:5]}, which must be 0 or more and "
            "sum to 1; give softmax outputs, or labels"
        )
    found = np.zeros((n, len(classes)))
    for k, label in enumerate(known.tolist()):
        if str(label) in column_of:
            found[:, column_of[str(label)]] = array[:, k]
    return found


def _one_hot(labels: np.ndarray, column_of: Mapping[str, int], known: np.ndarray, name: str) -> np.ndarray:
    texts = [str(int(v)) if labels.dtype.kind == "f" and float(v).is_integer() else str(v) for v in labels.tolist()]
    unknown = sorted(set(texts) - set(column_of) - {str(label) for label in known.tolist()})
    if unknown:
        raise LongwayError(
            f"{name} holds {unknown[0]!r}, which is not a class of y ({', '.join(list(column_of)[:5])}): give labels "
            "as in y, or probabilities with one column per class"
        )
    found = np.zeros((len(texts), len(column_of)))
    for row, text in enumerate(texts):
        if text in column_of:
            found[row, column_of[text]] = 1
    return found
