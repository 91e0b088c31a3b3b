"""Records that an audit returns, ready for JSON; arrays and pictures stay out of the JSON."""

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

FORMAT = 2
"""Version of the JSON of an audit. Format 1 had ``trial`` for ``mitigation_trial`` and no ``advice``."""


@dataclass(frozen=True)
class Verdict(Record):
    """The answer in short.

    Parameters
    ----------
    level : {"no evidence", "suspicion", "strong evidence"}
    score : float
        Suspicion of the first candidate, from 0 to 1; it sets the level.
    signal : str
        Name of the candidate behind the verdict; empty with no evidence.
    reasons : tuple of str
        One sentence each, the weightiest first.
    method : str
        Name of the method to try (a key of ``longway.METHODS``); empty with no evidence.
    method_reason : str
        Why this one.
    command : str
        The command that treats ``signal`` as a shortcut; filled in by the command line.
    expected_gain : Estimate or None
        Worst-group gain of a quick trial fit with the groups of ``signal``.
    """

    level: Level
    score: float
    signal: str
    reasons: tuple[str, ...]
    method: str = ""
    method_reason: str = ""
    command: str = ""
    expected_gain: Estimate | None = None


@dataclass(frozen=True)
class ModelFacts(Record):
    """The audited model.

    Parameters
    ----------
    kind : {"model", "predictions", "fitted here"}
        What was given. If nothing was, an ordinary classifier is fitted and judged on samples that it did not see.
    name : str
        Such as "ERM" or the name of a class.
    accuracy : Estimate
        On all audited samples (Wilson).
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
    id, reason : str
        Untrusted text.
    """

    row: int
    id: str
    reason: str


@dataclass(frozen=True)
class Audit(Record):
    """All findings of an audit.

    Parameters
    ----------
    source : str
        Where the data come from. Untrusted text.
    kind : {"features", "images", "texts"}
    n, n_given, n_fitted : int
        Samples that were audited; that were given; that anything was fitted to.
    classes : mapping of str to int
        Samples of each class. Keys are untrusted text.
    columns : tuple of str
        Metadata columns that were tested. Untrusted text.
    notes : tuple of str
        Problems of the data: duplicates, leakage between parts, columns that equal the label, classes that are too
        small. Holds untrusted text.
    skipped : tuple of Skipped
    assumptions : tuple of str
        One sentence each.
    model : ModelFacts
    verdict : Verdict
    candidates : tuple of Candidate
        The most suspicious first.
    slices : tuple of Slice
        All that were tested, confirmed ones first, then by adjusted p.
    settings : mapping of str to Any
        The arguments of the audit, with the seed.
    seconds : float
        Wall time.
    fingerprint : str
        Hash of the names and labels of the audited samples: equal if two audits are of the same ones.
    y : ndarray of shape (n,)
        Labels of the audited samples, as given. Not in ``to_dict``.
    rows : ndarray of shape (n,), int64
        Positions of the audited samples in the data as given. Not in ``to_dict``.
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
    fingerprint: str = ""
    y: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    rows: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})
    images: np.ndarray | None = field(default=None, repr=False, metadata={"picture": True})

    def to_dict(self) -> dict[str, Any]:
        """Return everything but arrays and pictures, ready for JSON."""
        return {"format": FORMAT, **super().to_dict()}

    def candidate(self, name: str) -> Candidate:
        """Return the candidate of that name; raise LongwayError if there is none."""
        for each in self.candidates:
            if each.name == name:
                return each
        raise LongwayError(f"the audit has no candidate {name!r}; {nearest(name, [c.name for c in self.candidates])}")

    def pseudo_groups(self, *names: str) -> np.ndarray:
        """Return groups that treat signals as shortcuts: every combination of class and sides is a group.

        Parameters
        ----------
        *names : str
            Names of candidates.

        Returns
        -------
        ndarray of int64 of shape (n,)
            One per audited sample, for ``fit(X, y, groups=..., sample_weight=...)`` of any group-aware method, with
            the weights that ``confident`` returns.

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
        """Return the samples whose sides of all these signals are certain.

        Parameters
        ----------
        *names : str
            Names of candidates.

        Returns
        -------
        ndarray of bool of shape (n,)
            False for samples of a rare side that are probably misassigned (``longway.groups.group_purity``); used as
            ``sample_weight``, it leaves them out. All True for columns, and for axes that were not examined closely.

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
