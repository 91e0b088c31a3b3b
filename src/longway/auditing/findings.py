"""Records of an audit's findings: candidate shortcuts, the model's reliance on them, and slices that it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from longway.utils.records import Estimate, Example, Record


@dataclass(frozen=True)
class Association(Record):
    """Strength of the association between a signal and the label.

    Parameters
    ----------
    strength : Estimate
        From 0 to 1: the largest absolute correlation with a class against the rest, classes weighted equally.
    p : float
        P-value of no association.
    adjusted_p : float
        ``p`` corrected for the number of signals tested (Holm).
    """

    strength: Estimate
    p: float
    adjusted_p: float


@dataclass(frozen=True)
class Reliance(Record):
    """The model's reliance on a signal.

    Parameters
    ----------
    how : {"intervention", "predictions"}
        Whether inputs were changed and the model called again, or only its given predictions were available.
    sensitivity : Estimate
        Change of the predicted probability when the signal rises by one standard deviation. From predictions alone, the
        within-class slope of the predicted probability on the signal, times the standard deviation.
    flip_rate : float or None
        Share of predictions that change when the signal is swapped with that of a sample of another class.
    shuffled_accuracy : mapping of str to float, or None
        Accuracy in each class when the signal is shuffled within the class.
    accuracy : mapping of str to float
        Accuracy in each class on unchanged inputs.
    aligned_accuracy, contradicting_accuracy : Estimate
        On samples on their class's usual side of the signal, and on the others (Wilson); classes weighted equally.
    """

    how: Literal["intervention", "predictions"]
    sensitivity: Estimate
    flip_rate: float | None
    shuffled_accuracy: Mapping[str, float] | None
    accuracy: Mapping[str, float]
    aligned_accuracy: Estimate
    contradicting_accuracy: Estimate


@dataclass(frozen=True)
class SignalEffect(Record):
    """Effect of a signal on the given model's predictions, within classes.

    Parameters
    ----------
    focus : int
        Position of the class towards which one side of the signal moves the predictions.
    sign : {1, -1}
        1 if that is the high side (a value that is present), -1 if it is the low one.
    effect : Estimate
        Share of samples predicted as that class on the high side minus that on the low side, in each class, averaged.
    reference : float
        The same for an ordinary head fitted to the other half of these data.
    excess : Estimate
        The effect minus that of the head, paired over samples: above 0 if the model takes the signal more than the
        labels of these data support.
    adjusted_p : float
        P-value of no excess, corrected for the number of signals (Holm).
    aligned_accuracy, contradicting_accuracy : Estimate
        Accuracy of the model where the signal speaks for the label, and where it speaks against it (Wilson); classes
        weighted equally.
    reference_accuracy : Estimate
        Accuracy of the head where the signal speaks against the label.
    contradicting : int
        Samples where the signal speaks against the label.
    smaller_side : float
        Share of the samples on the smaller side of the signal.
    """

    focus: int
    sign: int
    effect: Estimate
    reference: float
    excess: Estimate
    adjusted_p: float
    aligned_accuracy: Estimate
    contradicting_accuracy: Estimate
    reference_accuracy: Estimate
    contradicting: int
    smaller_side: float


@dataclass(frozen=True)
class MitigationTrial(Record):
    """Result of a quick fit that does not rely on a signal, on the half that it was not fitted on.

    Groups are class x side of the signal, if they hold enough samples.

    Parameters
    ----------
    worst_before, worst_after : Estimate
        Worst-group accuracy of the ordinary head and of the mitigated one.
    gain : Estimate
        Change of accuracy in the group that is worst before; paired over samples.
    balanced_gain : Estimate
        Change of the mean accuracy over groups.
    second_signal : Estimate
        Area under the curve with which a head that weights all groups equally separates contradicting samples from
        those that usually lie on their side: .5 if only the signal separates the classes, more if something else does.
    average_cost : float
        Loss of average accuracy; negative if it rises.
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
class Advice(Record):
    """A fit to run next, as data; the command line renders it as a command.

    Parameters
    ----------
    method : str
        A key of ``longway.METHODS``.
    settings : mapping of str to Any
        Parameters of the method; for a mitigation that cannot take its groups from the audit, how to infer them.
    columns : tuple of str
        Columns of the data to group by. Untrusted text.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate(Record):
    """A signal that may be a shortcut.

    Parameters
    ----------
    name : str
        Such as "axis 3", "mean brightness" or "word 'not'". Untrusted text if it comes from a column or a word.
    source : {"axis", "metadata", "word"}
    index : int
        Number of the axis, column or word; -1 for a direction that is not a coordinate.
    description : str
        One plain sentence that describes the signal.
    suspicion : float
        From 0 to 1; candidates are sorted by it, the most suspicious first. With a model it is the larger one of the
        suspicion that the model takes the signal and the suspicion that the data hold it as a shortcut.
    association : Association
    threshold_accuracy : float
        Balanced accuracy of one threshold (or one value) of the signal, on samples that did not set it.
    stability : float
        Smallest association over folds, divided by the largest: 1 is perfectly stable.
    contradicting : int
        Samples on the side that is unusual for their class.
    contradicting_share : float
        Their share of a class, averaged over classes.
    low, high : tuple of Example
        The most extreme samples at both ends.
    statement : str
        One sentence that says whether core and shortcut can be told apart here.
    reliance : Reliance or None
        None for candidates far down the list, which were not examined.
    mitigation_trial : MitigationTrial or None
        None if groups were too small, or the candidate was not examined.
    detectability : Estimate or None
        Area under the curve with which an ordinary head reads a column from the inputs, on samples that it did not see:
        .5 if the inputs do not show it, 1 if they do. None for signals that are read from the inputs anyway.
    effect : SignalEffect or None
        None without a model or predictions, or if no class has enough samples on both sides.
    advice : Advice
        The fit that treats this signal as a shortcut.
    python : str
        The same as a line of Python.
    command : str
        The same as a command; filled in by the command line.
    unsure : int
        Samples on the unusual side that are probably misassigned; a fit that treats the signal as a shortcut leaves
        them out.
    same_as_label : bool
        True if the signal equals the label (or a one-to-one recoding of it).
    values : ndarray of shape (n,), optional
        The signal of each audited sample. Not in ``to_dict``.
    side : ndarray of shape (n,), int8, optional
        1 for samples on the side that is unusual for their class, else 0. Not in ``to_dict``.
    confident : ndarray of shape (n,), bool, optional
        False for samples that are probably misassigned, which would make groups impure. Not in ``to_dict``.
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
    advice: Advice
    python: str
    command: str = ""
    detectability: Estimate | None = None
    effect: SignalEffect | None = None
    unsure: int = 0
    same_as_label: bool = False
    values: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    side: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    confident: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    traversal: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Slice(Record):
    """A part of a class that the model fails, found on one half of the data and tested on the other.

    All counts and accuracies are of the half that tests.

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
    share : float
        Of its class.
    accuracy : Estimate
        Wilson interval.
    rest_accuracy : float
        Accuracy on the rest of the class.
    p : float
        One-sided p-value of the slice being no worse than the rest of its class (Fisher's exact test).
    adjusted_p : float
        ``p`` corrected for the number of slices tested (Holm).
    confirmed : bool
        True if ``adjusted_p`` is below .05 and the accuracy lies far enough below that of the rest.
    examples : tuple of Example
        Samples that the model gets wrong.
    members : ndarray of shape (m,), int64
        Positions of all its audited samples, of both halves. Not in ``to_dict``.
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
