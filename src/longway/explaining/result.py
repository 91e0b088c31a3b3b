"""What an explanation holds: plain records, each ready for JSON; pictures are kept beside them, never inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from longway.utils.records import Estimate, Example, Record

FORMAT = 1
"""Version of the JSON that ``Explanation.to_dict`` returns."""

Ends = tuple[tuple[Example, ...], tuple[Example, ...]]
"""The lowest and the highest samples of a direction, the most extreme first."""


@dataclass(frozen=True)
class Direction(Record):
    """A direction in what the model sees, with the real samples at both its ends.

    Parameters
    ----------
    name : str
        Holds untrusted text where it names a class.
    index : int
        Number of the axis, or code of the class.
    low, high : tuple of Example
    score : float
        Shortcut score of an axis; NaN for other directions.
    effect : float
        Of an axis: by how much one deviation along it moves the predicted probabilities, at the class where it is
        largest and on average over samples. NaN where it is not known.
    flat : bool
        Whether the head was made flat along the axis.
    command, python : str
        What to run to treat the axis as a shortcut; empty where the method takes no axes.
    values : ndarray of shape (n,)
        The direction for every row that is explained. Not in ``to_dict``.
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
    command: str = ""
    python: str = ""
    values: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    traversal: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Heat(Record):
    """Where models look in one image.

    Parameters
    ----------
    example : Example
    predicted : mapping of str to str
        What each model says of it. Untrusted text.
    maps : mapping of str to ndarray of shape (h, w)
        Grad-CAM of what each model says, from 0 to 1. Not in ``to_dict``.
    """

    example: Example
    predicted: Mapping[str, str]
    maps: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Reliance(Record):
    """How far models rely on a known attribute.

    Parameters
    ----------
    attribute : str
        A column, or one value of it. Untrusted text.
    label : str
        The class whose log-odds were looked at: where the first model relies on the attribute most. Untrusted text.
    n : int
        Samples that have the attribute.
    by_model : mapping of str to Estimate
        Difference of mean log-odds between samples with and without the attribute, within classes, in deviations of
        the log-odds within classes, so that heads of different scale compare. 95 % interval.
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
    """How far an edit goes in the direction of a known attribute.

    Parameters
    ----------
    attribute : str
        Untrusted text; "the label" for the classes themselves.
    cosine : float
        Of the edit and of the difference that the attribute makes within classes, in standardised features.
    auroc : float
        Of telling samples with the attribute from others, within classes, by where they lie along the edit; .5 is
        chance, 0 means that the edit leads away from it.
    """

    attribute: str
    cosine: float
    auroc: float


@dataclass(frozen=True)
class Neighbour(Record):
    """The real samples nearest to a support row.

    Parameters
    ----------
    label : str
        Its class. Untrusted text.
    moved : float
        Length of its edit as a share of its own, in standardised features.
    before, after : Example
        The nearest training sample before and after the edit; ``value`` is the distance.
    towards : Example
        The training sample that the edit leads to most directly; ``value`` is the cosine of the edit and of the way
        there.
    """

    label: str
    moved: float
    before: Example
    after: Example
    towards: Example


@dataclass(frozen=True)
class ClassEdit(Record):
    """The mean edit of the support rows of one class.

    Parameters
    ----------
    label : str
        Untrusted text.
    moved : float
        Mean length of the edits as a share of the rows' own.
    agreement : float
        Length of the mean edit, as a share of the mean length: 1 where all rows move alike, near 0 where each goes its
        own way.
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
    """What HSFM's edits of its support mean.

    Parameters
    ----------
    n : int
        Support rows.
    changed : int
        Rows whose nearest training sample is another one after the edit.
    classes : tuple of ClassEdit
    neighbours : tuple of Neighbour
        The rows that moved most, of each class.
    decoded : ndarray of shape (m, 2, h, w, 3), optional
        Those rows before and after, as a decoder draws them. Not in ``to_dict``.
    """

    n: int
    changed: int
    classes: tuple[ClassEdit, ...]
    neighbours: tuple[Neighbour, ...]
    decoded: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})


@dataclass(frozen=True)
class Explanation(Record):
    """What a fitted model uses.

    Parameters
    ----------
    source : str
        Where the data come from. Untrusted text.
    kind : {"features", "images"}
    name : str
        Of the model.
    method : str
        Its class.
    n : int
        Rows that were looked at.
    n_given : int
    part : str
        The part of the split that they are; empty without one.
    accuracy : mapping of str to Estimate
        Of each model on these rows (Wilson). Empty for inferred groups.
    axes : tuple of Direction
        Latent or whitened axes, the highest shortcut score first.
    flat : tuple of int
        All axes that the head was made flat along.
    answers : tuple of Direction
        What the model says: log-odds of the second of two classes, or of each of several.
    heat : tuple of Heat
    reliance : tuple of Reliance
        What the model stopped using first.
    edits : Edits or None
    curves : mapping of str to tuple of dict
        Validation scores over epochs, by model.
    notes : tuple of str
        What a reader should know. Holds untrusted text.
    settings : mapping of str to Any
    seconds : float
        Wall time.
    y : ndarray of shape (m,)
        Labels of all rows that examples point to. Not in ``to_dict``.
    looked_at : ndarray of shape (n,), int64
        Which of them are those that were looked at; the others are training rows. Not in ``to_dict``.
    rows : ndarray of shape (m,), int64
        Their positions in the data as given. Not in ``to_dict``.
    images : ndarray of shape (m, c, h, w), optional
        Their images, of a model that takes images. Not in ``to_dict``.
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
    looked_at: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    rows: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    images: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON."""
        return {"format": FORMAT, **super().to_dict()}
