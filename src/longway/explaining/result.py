"""Records that an explanation returns, ready for JSON; arrays and pictures stay out of the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from longway.auditing.findings import Advice
from longway.utils.records import Estimate, Example, Record

FORMAT = 1
"""Version of the JSON that ``Explanation.to_dict`` returns."""

Ends = tuple[tuple[Example, ...], tuple[Example, ...]]
"""The lowest and the highest samples of a direction, the most extreme first."""


@dataclass(frozen=True)
class Direction(Record):
    """A direction in the model's inputs, latents or outputs, with the real samples at both ends.

    Parameters
    ----------
    name : str
        Holds untrusted text if it names a class.
    index : int
        Number of the axis, or code of the class.
    low, high : tuple of Example
    score : float
        Shortcut score of an axis; NaN for other directions.
    effect : float
        Of an axis: the change of the predicted probabilities with one standard deviation along it, of the class that
        changes most, averaged over samples. NaN if unknown.
    flat : bool
        True if the head was made flat along the axis.
    advice : Advice or None
        The fit that treats the axis as a shortcut; None if the method takes no axes.
    command, python : str
        The same as a command, filled in by the command line, and as a line of Python.
    values : ndarray of shape (n,)
        The direction's value for each explained sample. Not in ``to_dict``.
    traversal : ndarray of shape (steps, c, h, w), optional
        Pictures decoded along an axis. Not in ``to_dict``.
    """

    name: str
    index: int
    low: tuple[Example, ...]
    high: tuple[Example, ...]
    score: float = float("nan")
    effect: float = float("nan")
    flat: bool = False
    advice: Advice | None = None
    command: str = ""
    python: str = ""
    values: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    traversal: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Heat(Record):
    """Saliency maps of one image.

    Parameters
    ----------
    example : Example
    predicted : mapping of str to str
        The prediction of each model. Untrusted text.
    maps : mapping of str to ndarray of shape (h, w)
        Map of each model's prediction, from 0 to 1. Not in ``to_dict``.
    """

    example: Example
    predicted: Mapping[str, str]
    maps: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Reliance(Record):
    """Reliance of models on a known attribute.

    Parameters
    ----------
    attribute : str
        A column, or one value of it. Untrusted text.
    label : str
        The class whose log-odds are compared: where the first model relies on the attribute most. Untrusted text.
    n : int
        Samples that have the attribute.
    by_model : mapping of str to Estimate
        Difference of mean log-odds between samples with and without the attribute, within classes, in standard
        deviations of the log-odds within classes, so that heads of different scale can be compared. 95 % interval.
    logits : mapping of str to float
        The same difference in units of the log-odds.
    """

    attribute: str
    label: str
    n: int
    by_model: Mapping[str, Estimate]
    logits: Mapping[str, float]


@dataclass(frozen=True)
class Alignment(Record):
    """Alignment of an edit with a known attribute.

    Parameters
    ----------
    attribute : str
        Untrusted text; "the label" for the classes themselves.
    cosine : float
        Between the edit and the within-class difference of means of the attribute, in standardised features.
    auroc : float
        Of separating samples with the attribute from others, within classes, by their position along the edit; .5 is
        chance, 0 means that the edit leads away from the attribute.
    """

    attribute: str
    cosine: float
    auroc: float


@dataclass(frozen=True)
class Neighbour(Record):
    """The real samples nearest to a support sample.

    Parameters
    ----------
    label : str
        Its class. Untrusted text.
    moved : float
        Length of its edit relative to its own length, in standardised features.
    before, after : Example
        The nearest training sample before and after the edit; ``value`` is the distance.
    towards : Example
        The training sample most in line with the edit; ``value`` is the cosine between the edit and the step there.
    """

    label: str
    moved: float
    before: Example
    after: Example
    towards: Example


@dataclass(frozen=True)
class ClassEdit(Record):
    """The mean edit of the support samples of one class.

    Parameters
    ----------
    label : str
        Untrusted text.
    moved : float
        Mean length of the edits relative to the samples' own length.
    agreement : float
        Length of the mean edit relative to the mean length: 1 if all samples move alike, near 0 if each moves its own
        way.
    alignment : tuple of Alignment
        The most aligned first.
    along : Direction
        Real samples along the mean edit.
    """

    label: str
    moved: float
    agreement: float
    alignment: tuple[Alignment, ...]
    along: Direction


@dataclass(frozen=True)
class Edits(Record):
    """Meaning of HSFM's edits of its support.

    Parameters
    ----------
    n : int
        Support samples.
    changed : int
        Samples whose nearest training sample changes with the edit.
    classes : tuple of ClassEdit
    neighbours : tuple of Neighbour
        The samples of each class that moved most.
    decoded : ndarray of shape (m, 2, h, w, 3), optional
        Those samples before and after, as a decoder draws them. Not in ``to_dict``.
    """

    n: int
    changed: int
    classes: tuple[ClassEdit, ...]
    neighbours: tuple[Neighbour, ...]
    decoded: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Explanation(Record):
    """Explanation of a fitted model.

    Parameters
    ----------
    source : str
        Where the data come from. Untrusted text.
    kind : {"features", "images"}
    name : str
        Of the model.
    method : str
        Its class.
    n, n_given : int
        Samples that were explained, and that were given.
    part : str
        The explained part of the split; empty without one.
    accuracy : mapping of str to Estimate
        Of each model on these samples (Wilson). Empty for inferred groups.
    axes : tuple of Direction
        Latent or whitened axes, the highest shortcut score first.
    flat : tuple of int
        Numbers of all axes that the head was made flat along.
    answers : tuple of Direction
        Log-odds of the second of two classes, or of each of several.
    heat : tuple of Heat
    reliance : tuple of Reliance
        Attributes that the model relies on less than the first model come first.
    edits : Edits or None
    curves : mapping of str to tuple of dict
        Validation scores over epochs, by model.
    notes : tuple of str
        Holds untrusted text.
    settings : mapping of str to Any
    seconds : float
        Wall time.
    y : ndarray of shape (m,)
        Labels of all samples that examples refer to. Not in ``to_dict``.
    explained : ndarray of shape (n,), int64
        Positions of the explained samples among them; the others are training samples. Not in ``to_dict``.
    rows : ndarray of shape (m,), int64
        Their positions in the data as given. Not in ``to_dict``.
    images : ndarray of shape (m, c, h, w), optional
        Their images, for a model on images. Not in ``to_dict``.
    """

    source: str
    kind: Literal["features", "images"]
    name: str
    method: str
    n: int
    n_given: int
    part: str
    accuracy: Mapping[str, Estimate]
    axes: tuple[Direction, ...]
    flat: tuple[int, ...]
    answers: tuple[Direction, ...]
    heat: tuple[Heat, ...]
    reliance: tuple[Reliance, ...]
    edits: Edits | None
    curves: Mapping[str, tuple[Mapping[str, float], ...]]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    seconds: float
    y: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    explained: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    rows: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    images: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})

    def to_dict(self) -> dict[str, Any]:
        """Return everything but arrays and pictures, ready for JSON."""
        return {"format": FORMAT, **super().to_dict()}
