"""What an audit finds: signals that may be shortcuts, what the model makes of them, and parts that it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from longway.utils.records import Estimate, Example, Record


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
class MitigationTrial(Record):
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
    mitigation_trial : Trial or None
        None where groups were too small, or not looked into.
    command, python : str
        What to run to treat this signal as a shortcut.
    unsure : int
        Samples that are likely misread, so that groups of these sides would be impure: whatever treats the signal as a
        shortcut leaves them out.
    same_as_label : bool
        The signal equals the label (or a one-to-one recoding of it).
    values : ndarray of shape (n,), optional
        The signal for every audited row: numbers, or codes of values. Not in ``to_dict``.
    side : ndarray of shape (n,), int8, optional
        1 where a row is on the side that is unusual for its class, 0 where it is not. Not in ``to_dict``.
    confident : ndarray of shape (n,), bool, optional
        False where a row is likely misread: it would make groups of these sides impure. Not in ``to_dict``.
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
    mitigation_trial: MitigationTrial | None
    command: str
    python: str
    unsure: int = 0
    same_as_label: bool = False
    values: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    side: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    confident: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
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
