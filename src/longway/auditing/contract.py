"""What an audit returns: plain records, each ready for JSON; pictures are kept beside them, never inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import numpy as np

Level = Literal["no evidence", "suspicion", "strong evidence"]
LEVELS: tuple[Level, ...] = ("no evidence", "suspicion", "strong evidence")
"""Verdicts, the mildest first."""

FORMAT = 1
"""Version of the JSON that ``Audit.to_dict`` returns."""


class Record:
    """A frozen dataclass that turns into JSON-ready values field by field; fields marked ``picture`` stay out."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON: arrays become lists, an undefined number becomes None."""
        assert is_dataclass(self)
        return {each.name: plain(getattr(self, each.name)) for each in fields(self) if not each.metadata.get("picture")}


def plain(value: Any) -> Any:
    """Turn a value into what JSON knows; NaN and infinity become None.

    Examples
    --------
    >>> plain({"a": (np.float32(0.5), float("nan")), 1: np.arange(2)})
    {'a': [0.5, None], '1': [0, 1]}
    """
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


@dataclass(frozen=True)
class Estimate(Record):
    """A number with its interval.

    Parameters
    ----------
    value : float
        NaN where it cannot be told.
    low, high : float
        Ends of the interval, of coverage .95 unless the field that holds this says otherwise.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Association(Record):
    """How strongly a signal goes with the label.

    Parameters
    ----------
    strength : Estimate
        From 0 to 1. For a number the largest absolute correlation with a class against the rest, classes weighted
        equally; for a column of values Cramer's V.
    p : float
        Of no association.
    adjusted_p : float
        The same, corrected for all signals that were tested (Holm).
    """

    strength: Estimate
    p: float
    adjusted_p: float


@dataclass(frozen=True)
class Example(Record):
    """One sample to look at.

    Parameters
    ----------
    row : int
        Position in the data that were audited.
    id : str
        What names the row in its source: a number or a file's name. Untrusted text.
    label : str
        Untrusted text.
    predicted : str
        What the model says of it, by a model that did not see it where the audit fitted the model. Untrusted text.
    value : float
        Of the axis or column that it is an example of; NaN where there is none.
    """

    row: int
    id: str
    label: str
    predicted: str
    value: float


@dataclass(frozen=True)
class Reliance(Record):
    """How far the model uses a signal.

    Parameters
    ----------
    how : {"intervention", "predictions"}
        Whether inputs were changed and the model asked again, or only its given predictions were looked at.
    sensitivity : Estimate
        Change of the predicted probability along the axis, times the axis' deviation: what a step of one deviation
        does. From predictions alone, the slope of the predicted probability on the axis within classes, times the
        deviation.
    flip_rate : float or None
        Share of predictions that change when the axis is swapped with a sample of another class.
    shuffled_accuracy : mapping of str to float, or None
        Accuracy in each class when the axis is shuffled within the class.
    accuracy : mapping of str to float
        Accuracy in each class as it is.
    aligned_accuracy, contradicting_accuracy : Estimate
        Of the samples on their class's usual side of the axis, and of those on the other (Wilson); classes weighted
        equally in the value.
    """

    how: Literal["intervention", "predictions"]
    sensitivity: Estimate
    flip_rate: float | None
    shuffled_accuracy: Mapping[str, float] | None
    accuracy: Mapping[str, float]
    aligned_accuracy: Estimate
    contradicting_accuracy: Estimate


@dataclass(frozen=True)
class Trial(Record):
    """What a quick fit that does not lean on a signal achieves, on the half that it was not fitted on.

    Groups are class x side of the signal, as far as they hold enough samples.

    Parameters
    ----------
    worst_before, worst_after : Estimate
        Worst-group accuracy of the ordinary head and of the reweighted one.
    gain : Estimate
        Difference of the two, in the group that is worst before; paired over samples.
    balanced_gain : Estimate
        Difference of accuracies when all groups count the same.
    second_signal : Estimate
        Area under the curve with which a head in which all groups count the same ranks contradicting samples apart from
        those that lie on their side by right: .5 where nothing but the signal tells the classes apart, more where a
        second signal does.
    average_cost : float
        By how much the plain accuracy falls; negative where it rises.
    smallest_group : int
        Samples in the smallest group on the judging side.
    """

    worst_before: Estimate
    worst_after: Estimate
    gain: Estimate
    balanced_gain: Estimate
    second_signal: Estimate
    average_cost: float
    smallest_group: int


@dataclass(frozen=True)
class Candidate(Record):
    """A signal that may be a shortcut.

    Parameters
    ----------
    name : str
        Such as "axis 3", "mean brightness" or "word 'not'". Untrusted text where it comes from a column or a word.
    source : {"axis", "metadata", "word"}
    index : int
        Number of the axis in its representation; of the column or the word otherwise. -1 for an axis that is no
        coordinate but was found as a direction.
    description : str
        One plain sentence about what the signal is.
    suspicion : float
        Candidates come sorted by this, the most suspicious first; from 0 to 1.
    association : Association
    threshold_accuracy : float
        Balanced accuracy of what one threshold (or one value) of it predicts, on samples that did not set it.
    stability : float
        Smallest association over folds, divided by the largest: 1 is perfectly stable.
    contradicting : int
        Samples on the side that is unusual for their class.
    contradicting_share : float
        The same as a share, averaged over classes.
    low, high : tuple of Example
        The most extreme samples at both ends.
    statement : str
        Whether core and shortcut can be told apart here, in one sentence.
    reliance : Reliance or None
        None where it was not looked into (candidates far down the list).
    trial : Trial or None
        None where groups were too small, or not looked into.
    command, python : str
        What to run to treat this signal as a shortcut.
    same_as_label : bool
        The signal equals the label (or a one-to-one recoding of it).
    values : ndarray of shape (n,), optional
        The signal for every audited row: numbers, or codes of values. Not in ``to_dict``.
    side : ndarray of shape (n,), int8, optional
        1 where a row is on the side that is unusual for its class, 0 where it is not. Not in ``to_dict``.
    traversal : ndarray of shape (steps, c, h, w), optional
        Pictures decoded along the axis, in [0, 1]; only for a beta-VAE's axes on images. Not in ``to_dict``.
    """

    name: str
    source: Literal["axis", "metadata", "word"]
    index: int
    description: str
    suspicion: float
    association: Association
    threshold_accuracy: float
    stability: float
    contradicting: int
    contradicting_share: float
    low: tuple[Example, ...]
    high: tuple[Example, ...]
    statement: str
    reliance: Reliance | None
    trial: Trial | None
    command: str
    python: str
    same_as_label: bool = False
    values: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    side: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    traversal: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Slice(Record):
    """A part of a class that the model fails, found on one half of the data and confirmed on the other.

    All counts and accuracies are of the half that confirms.

    Parameters
    ----------
    found_by : {"axis", "metadata", "word", "cluster"}
    description : str
        In plain words, such as "class 'cow' where axis 3 is high (above 1.2)". Holds untrusted text.
    label : str
        The class that it is a part of. Untrusted text.
    signal : str
        Name of the candidate that defines it; empty for a cluster.
    n : int
        Samples in it.
    share : float
        Of its class.
    accuracy : Estimate
        Wilson interval.
    rest_accuracy : float
        Of the rest of the class.
    p : float
        One-sided, of the slice being no worse than the rest of its class (Fisher's exact test).
    adjusted_p : float
        The same, corrected for all slices that were put to the test (Holm).
    confirmed : bool
        Whether ``adjusted_p`` is below .05 and the accuracy lies far enough below that of the rest.
    examples : tuple of Example
        Samples that the model gets wrong, the clearest first.
    members : ndarray of shape (m,), int64
        Positions of all audited rows in it, of both halves. Not in ``to_dict``.
    """

    found_by: Literal["axis", "metadata", "word", "cluster"]
    description: str
    label: str
    signal: str
    n: int
    share: float
    accuracy: Estimate
    rest_accuracy: float
    p: float
    adjusted_p: float
    confirmed: bool
    examples: tuple[Example, ...]
    members: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Verdict(Record):
    """The answer in short.

    Parameters
    ----------
    level : {"no evidence", "suspicion", "strong evidence"}
    score : float
        What the level was cut from, from 0 to 1: the suspicion of the first candidate.
    signal : str
        Name of the candidate that it rests on; empty with no evidence.
    reasons : tuple of str
        One sentence each, the weightiest first.
    method : str
        Name of the method to try (a key of ``longway.METHODS``); empty with no evidence.
    method_reason : str
        Why this one.
    command : str
        What to run; empty with no evidence.
    expected_gain : Estimate or None
        Worst-group gain that a quick trial fit found for the groups of ``signal``, with its interval.
    """

    level: Level
    score: float
    signal: str
    reasons: tuple[str, ...]
    method: str
    method_reason: str
    command: str
    expected_gain: Estimate | None


@dataclass(frozen=True)
class ModelFacts(Record):
    """The model that was audited.

    Parameters
    ----------
    kind : {"model", "predictions", "fitted here"}
        What was given; an ordinary classifier is fitted, and judges rows that it did not see, where nothing was.
    name : str
        Such as "ERM" or a class's name.
    accuracy : Estimate
        On all audited rows (Wilson).
    by_class : mapping of str to Estimate
        Accuracy in each class. Keys are untrusted text.
    """

    kind: Literal["model", "predictions", "fitted here"]
    name: str
    accuracy: Estimate
    by_class: Mapping[str, Estimate]


@dataclass(frozen=True)
class Skipped(Record):
    """An input that could not be read.

    Parameters
    ----------
    row : int
        Position in the data as given.
    id : str
        Untrusted text.
    reason : str
        Untrusted text.
    """

    row: int
    id: str
    reason: str


@dataclass(frozen=True)
class Audit(Record):
    """Everything that an audit found.

    Parameters
    ----------
    source : str
        Where the data come from. Untrusted text.
    kind : {"features", "images", "texts"}
    n : int
        Rows that were audited.
    n_given : int
        Rows that were given; more than ``n`` where inputs were skipped.
    n_fitted : int
        Rows that anything was fitted on; fewer than ``n`` for large data.
    classes : mapping of str to int
        Samples of each class. Keys are untrusted text.
    columns : tuple of str
        Metadata columns that were tested. Untrusted text.
    notes : tuple of str
        What a person should know about the data: duplicates, leakage between parts, columns that equal the label,
        classes too small to judge. Holds untrusted text.
    skipped : tuple of Skipped
    assumptions : tuple of str
        What the audit takes for granted, one sentence each.
    model : ModelFacts
    verdict : Verdict
    candidates : tuple of Candidate
        The most suspicious first.
    slices : tuple of Slice
        Those that were put to the test, confirmed ones first, then by adjusted p.
    settings : mapping of str to Any
        The arguments of the audit, with the seed.
    seconds : float
        Wall time.
    y : ndarray of shape (n,)
        Labels of the audited rows, as given. Not in ``to_dict``.
    rows : ndarray of shape (n,), int64
        Positions of the audited rows in the data as given. Not in ``to_dict``.
    images : ndarray of shape (n, c, h, w), optional
        The audited images in [0, 1], for small pictures of examples: ``images[example.row]``. Not in ``to_dict``.
    """

    source: str
    kind: Literal["features", "images", "texts"]
    n: int
    n_given: int
    n_fitted: int
    classes: Mapping[str, int]
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    assumptions: tuple[str, ...]
    model: ModelFacts
    verdict: Verdict
    candidates: tuple[Candidate, ...]
    slices: tuple[Slice, ...]
    settings: Mapping[str, Any]
    seconds: float
    y: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    rows: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    images: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON."""
        return {"format": FORMAT, **super().to_dict()}

    def candidate(self, name: str) -> Candidate:
        """Return the candidate of that name.

        Raises
        ------
        LongwayError
            There is none.
        """
        from longway.errors import LongwayError, nearest

        for each in self.candidates:
            if each.name == name:
                return each
        raise LongwayError(f"the audit has no candidate {name!r}; {nearest(name, [c.name for c in self.candidates])}")

    def pseudo_groups(self, *names: str) -> np.ndarray:
        """Return groups that treat signals as shortcuts: each combination of class and sides is a group.

        Parameters
        ----------
        *names : str
            Of candidates.

        Returns
        -------
        ndarray of int64 of shape (n,)
            One for each audited row, for ``fit(X, y, groups=...)`` of any group-aware method.

        Raises
        ------
        LongwayError
            There is no such candidate.
        """
        assert self.y is not None
        codes = np.unique(self.y, return_inverse=True)[1]
        for name in names:
            side = self.candidate(name).side
            assert side is not None
            codes = 2 * codes + side
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)
