"""What an audit returns: plain records, each ready for JSON; pictures are kept beside them, never inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from longway.auditing.findings import Candidate, Slice
from longway.utils.errors import LongwayError, nearest
from longway.utils.records import Estimate, Record

Level = Literal["no evidence", "suspicion", "strong evidence"]
LEVELS: tuple[Level, ...] = ("no evidence", "suspicion", "strong evidence")
"""Verdicts, the mildest first."""

FORMAT = 1
"""Version of the JSON that ``Audit.to_dict`` returns."""


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
            One for each audited row, for ``fit(X, y, groups=..., sample_weight=...)`` of any group-aware method, with
            the weights that ``confident`` gives.

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

    def confident(self, *names: str) -> np.ndarray:
        """Return which rows are surely on the sides of signals where they seem to be.

        Parameters
        ----------
        *names : str
            Of candidates.

        Returns
        -------
        ndarray of bool of shape (n,)
            False for those of a rare side that are likely misread (``longway.groups.group_purity``); as
            ``sample_weight`` it leaves them out. All True for columns, and for axes that were not looked into closely.

        Raises
        ------
        LongwayError
            There is no such candidate.
        """
        assert self.y is not None
        confident = np.ones(len(self.y), bool)
        for name in names:
            own = self.candidate(name).confident
            assert own is not None
            confident &= own
        return confident
