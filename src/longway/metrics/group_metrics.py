"""Accuracy by group and by class, its averages and its confidence intervals.

All metrics follow from counts per group and per class, so a stored result can be read back and any metric recomputed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from longway.metrics._labels import (
    Ints,
    TrainCounts,
    align_train_counts,
    correct_predictions,
    count_groups,
    count_labels,
    name_groups,
    name_positions,
)
from longway.utils.errors import LongwayError

if TYPE_CHECKING:
    import pandas as pd


class Summary(NamedTuple):
    """A metric over several seeds: its mean and the sample standard deviation."""

    mean: float
    std: float


def summarise(values: Iterable[float]) -> Summary:
    """Return the mean and the sample standard deviation (ddof 1) of a metric over seeds.

    The deviation of a single value is NaN. A NaN among the values makes both NaN.

    Raises
    ------
    LongwayError
        If there are no values.

    Examples
    --------
    >>> summarise([0.5, 0.7, 0.9])
    Summary(mean=0.7, std=0.2)
    """
    array = np.asarray(list(values), dtype=np.float64)
    if array.size == 0:
        raise LongwayError("values is empty; there is nothing to average")
    # Rounding to 15 decimals removes floating-point noise such as 0.7000000000000001.
    mean = round(float(array.mean()), 15)
    std = round(float(array.std(ddof=1)), 15) if array.size > 1 else math.nan
    return Summary(mean, std)


def wilson_interval(
    correct: npt.ArrayLike, n: npt.ArrayLike, confidence: float = 0.95
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the Wilson score interval of a proportion, elementwise.

    Parameters
    ----------
    correct, n : array-like of int, broadcastable
        Successes and trials. Zero trials give the interval (0, 1).
    confidence : float, default .95
        Coverage, strictly between 0 and 1.

    Returns
    -------
    low, high : ndarray of float64

    References
    ----------
    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference.

    Examples
    --------
    >>> low, high = wilson_interval(8, 10)
    >>> print(f"{low:.3f} {high:.3f}")
    0.490 0.943
    """
    _check_confidence(confidence)
    trials = np.asarray(n, dtype=np.float64)
    successes = np.asarray(correct, dtype=np.float64)
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    failures = trials - successes
    # With p = successes / n: centre (p + z2 / 2n) / (1 + z2 / n), half-width
    # z / (1 + z2 / n) * sqrt(p (1 - p) / n + z2 / 4n^2); both are multiplied through by n, so n = 0 is harmless.
    safe = np.maximum(trials, 1)
    centre = (successes + z2 / 2) / (trials + z2)
    half = np.sqrt(z2) / (trials + z2) * np.sqrt(successes * failures / safe + z2 / 4)
    # These bounds are exactly 0 and 1; rounding errors would give 1e-17 or 1 - 1e-16.
    low = np.where(successes == 0, 0.0, centre - half)
    high = np.where(failures == 0, 1.0, centre + half)
    return low, high


@dataclass(frozen=True)
class GroupResult:
    """The metrics of one group or one class.

    Parameters
    ----------
    name : str
    n, correct : int
        Samples and correct predictions.
    train_n : int, optional
        Training samples of the group, for the re-weighted average.
    confidence : float, default .95
        Coverage of the interval ``(low, high)``.

    Examples
    --------
    >>> GroupResult("water", n=10, correct=8).accuracy
    0.8
    """

    name: str
    n: int
    correct: int
    train_n: int | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _check_confidence(self.confidence)
        if not 0 <= self.correct <= self.n or (self.train_n is not None and self.train_n < 0):
            raise LongwayError(f"{self.name!r} has impossible counts: {self.correct} correct of {self.n}")

    @property
    def accuracy(self) -> float:
        """Fraction of correct predictions; NaN for an empty group."""
        return self.correct / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of the accuracy; (0, 1) for an empty group."""
        low, high = wilson_interval(self.correct, self.n, self.confidence)
        return float(low), float(high)

    def to_dict(self) -> dict[str, Any]:
        """Return counts and derived metrics, ready for JSON (None for an undefined accuracy)."""
        low, high = self.interval
        return {
            "name": self.name,
            "n": self.n,
            "correct": self.correct,
            "train_n": self.train_n,
            "accuracy": self.accuracy if self.n else None,
            "low": low,
            "high": high,
        }


@dataclass(frozen=True)
class GroupMetrics:
    """Counts per group and class, and the metrics derived from them; made by `evaluate_groups`.

    Instances compare by value and convert to JSON and back (`to_dict`, `from_dict`).

    Parameters
    ----------
    classes : tuple of GroupResult
        One per class among the true labels.
    groups : tuple of GroupResult or None
        None if the evaluation had no groups: the group metrics then raise `LongwayError`.
    confidence : float
        Coverage of the intervals.
    """

    classes: tuple[GroupResult, ...]
    groups: tuple[GroupResult, ...] | None
    confidence: float = 0.95

    @property
    def n(self) -> int:
        """Number of samples."""
        return sum(result.n for result in self.classes)

    @property
    def correct(self) -> int:
        """Number of correct predictions."""
        return sum(result.correct for result in self.classes)

    @property
    def average_accuracy(self) -> float:
        """Accuracy over all samples."""
        return self.correct / self.n

    @property
    def reweighted_average_accuracy(self) -> float:
        """Mean of the group accuracies, weighted by the groups' training proportions.

        Empty groups are left out and the other weights rescaled. Needs disjoint groups and ``train_counts``.
        """
        groups = self._groups()
        if any(result.train_n is None for result in groups):
            raise LongwayError("the re-weighted average needs train_counts; pass them to evaluate_groups")
        if sum(result.n for result in groups) > self.n:
            raise LongwayError("the re-weighted average needs disjoint groups, and these overlap")
        weights = [(result.train_n or 0, result.accuracy) for result in groups if result.n]
        total = sum(weight for weight, _ in weights)
        if total == 0:
            raise LongwayError("train_counts is zero for every group that has samples here")
        return sum(weight * accuracy for weight, accuracy in weights) / total

    @property
    def worst_group(self) -> str:
        """Name of the group with the lowest accuracy; empty groups are ignored."""
        return _worst(self._groups()).name

    @property
    def worst_group_accuracy(self) -> float:
        """Accuracy of the worst group."""
        return _worst(self._groups()).accuracy

    @property
    def empty_groups(self) -> tuple[str, ...]:
        """Names of the groups without a sample."""
        return tuple(result.name for result in self._groups() if result.n == 0)

    @property
    def accuracy_by_group(self) -> dict[str, float]:
        """Accuracy of each group by name; NaN where it is empty."""
        return {result.name: result.accuracy for result in self._groups()}

    @property
    def worst_class(self) -> str:
        """Name of the class with the lowest recall."""
        return _worst(self.classes).name

    @property
    def worst_class_accuracy(self) -> float:
        """Recall of the worst class."""
        return _worst(self.classes).accuracy

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that occur among the true labels."""
        return sum(result.accuracy for result in self.classes) / len(self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict: all counts, and the accuracies for human readers."""
        return {
            "n": self.n,
            "correct": self.correct,
            "confidence": self.confidence,
            "classes": [result.to_dict() for result in self.classes],
            "groups": None if self.groups is None else [result.to_dict() for result in self.groups],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> GroupMetrics:
        """Restore the counts of `to_dict`.

        Raises
        ------
        LongwayError
            If a count is absent or impossible.
        """
        try:
            confidence = float(record["confidence"])
            classes = _results_from(record["classes"], confidence)
            groups = None if record["groups"] is None else _results_from(record["groups"], confidence)
        except LongwayError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise LongwayError(f"record is not a stored GroupMetrics: {error!r}") from error
        if not classes or not sum(result.n for result in classes):
            raise LongwayError("record is not a stored GroupMetrics: it counts no samples")
        return cls(classes, groups, confidence)

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas table with one row per group (or per class without groups)."""
        import pandas as pd

        results = self.classes if self.groups is None else self.groups
        kind = "class" if self.groups is None else "group"
        records = [result.to_dict() for result in results]
        frame = pd.DataFrame.from_records(records).rename(columns={"name": kind}).set_index(kind)
        frame["accuracy"] = frame["accuracy"].astype(float)
        return frame if frame["train_n"].notna().any() else frame.drop(columns="train_n")

    def _groups(self) -> tuple[GroupResult, ...]:
        if self.groups is None:
            raise LongwayError("this evaluation had no groups; pass groups= to evaluate_groups")
        return self.groups


def evaluate_groups(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    train_counts: TrainCounts | None = None,
    confidence: float = 0.95,
) -> GroupMetrics:
    """Count correct predictions per group and per class.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Integer, boolean or text labels.
    groups : array-like of shape (n,) or (n, G), optional
        One integer or text label per sample, or a boolean matrix whose column g marks the members of group g; the
        groups of a matrix may overlap. Without groups, only the class metrics exist.
    names : sequence of str, optional
        Names of all groups, including empty ones: ``names[g]`` names integer group g or column g; for text labels,
        the groups to report, in this order.
    train_counts : mapping of group to int, or sequence of int, optional
        Training samples per group; a sequence is in the order of the groups.
    confidence : float, default .95
        Coverage of the Wilson intervals.

    Raises
    ------
    LongwayError
        If lengths differ, labels are missing, a group has no name or no count, or no sample is in any group.

    Examples
    --------
    >>> metrics = evaluate_groups([0, 0, 1, 1], [0, 0, 1, 0], ["a", "b", "a", "b"], train_counts={"a": 9, "b": 1})
    >>> metrics.worst_group, metrics.worst_group_accuracy
    ('b', 0.5)
    >>> metrics.average_accuracy, metrics.reweighted_average_accuracy
    (0.75, 0.95)
    """
    _check_confidence(confidence)
    if train_counts is not None and hasattr(
        train_counts, "to_dict"
    ):  # a pandas Series goes by the names in its index, as a mapping does
        train_counts = train_counts.to_dict()
    if groups is None and (names is not None or train_counts is not None):
        raise LongwayError("names and train_counts describe groups; pass groups= too")
    true, is_correct = correct_predictions(y_true, y_pred)
    by_class = count_labels(is_correct, true)
    classes = _results([str(label) for label in by_class.labels], by_class.n, by_class.correct, None, confidence)
    if groups is None:
        return GroupMetrics(classes, None, confidence)
    counts = count_groups(is_correct, groups)
    all_names = name_groups(counts.labels, names, train_counts)
    where = name_positions(counts.labels, all_names, by_number=names is not None)
    n, correct = np.zeros((2, len(all_names)), dtype=np.int64)
    n[where], correct[where] = counts.n, counts.correct
    if not n.any():
        raise LongwayError("groups is empty: no sample belongs to any group")
    results = _results(all_names, n, correct, align_train_counts(train_counts, all_names), confidence)
    return GroupMetrics(classes, results, confidence)


def _results(
    names: Sequence[str], n: Ints, correct: Ints, train_counts: list[int] | None, confidence: float
) -> tuple[GroupResult, ...]:
    train = [None] * len(names) if train_counts is None else train_counts
    records = zip(names, n.tolist(), correct.tolist(), train, strict=True)
    return tuple(GroupResult(*record, confidence=confidence) for record in records)


def _results_from(records: Iterable[Mapping[str, Any]], confidence: float) -> tuple[GroupResult, ...]:
    return tuple(
        GroupResult(
            str(record["name"]),
            int(record["n"]),
            int(record["correct"]),
            None if record.get("train_n") is None else int(record["train_n"]),
            confidence,
        )
        for record in records
    )


def _worst(results: tuple[GroupResult, ...]) -> GroupResult:
    filled = [result for result in results if result.n]
    if not filled:
        raise LongwayError("every group is empty, so none is the worst")
    return min(filled, key=lambda result: result.accuracy)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise LongwayError(f"confidence is {confidence}; it must lie strictly between 0 and 1")
