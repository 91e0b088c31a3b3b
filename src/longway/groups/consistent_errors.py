"""Whether errors are a group: the same rows whoever judges, and rows that a classifier can get right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from longway.data.samples import Samples
from longway.groups.crossfit import cross_fit, stopped_nets
from longway.groups.errors import ErrorGroups, weak_errors
from longway.utils.device import seeded
from longway.utils.errors import NoGroupsError

ALIKE = 0.8
"""Overlap of two error sets from which they are the same rows."""
LEARNT = 0.15
"""How much more often than by chance a classifier must be right on errors and on other rows alike."""


@dataclass(frozen=True)
class ConsistentErrors:
    """Errors of weak classifiers on images, and what speaks for their being a group.

    Parameters
    ----------
    found : ErrorGroups
    overlap : float
        Rows that two weak classifiers, trained apart, get wrong, as a share of those that either does. Of hard images
        every classifier gets others wrong; those that contradict a plain shortcut all do.
    learnt : float
        How often a classifier for which errors count as much as other rows is right on the former and how often on the
        latter, less 1, the mean over classes; each judged unseen. Where labels are wrong, no classifier is right on
        both.
    """

    found: ErrorGroups
    overlap: float
    learnt: float

    @property
    def are_a_group(self) -> bool:
        """Whether they are the same whoever judges, and can be learnt."""
        return self.overlap >= ALIKE and self.learnt >= LEARNT

    def summary(self) -> dict[str, Any]:
        """Return what a record of the fit should hold, ready for JSON."""
        sizes = np.bincount(self.found.groups).tolist()
        return {"overlap": round(self.overlap, 3), "learnt": round(self.learnt, 3), "group_sizes": sizes}


def consistent_errors(rows: Samples, n_classes: int, *, seed: int, device: str = "auto") -> ConsistentErrors | None:
    """Find the errors of weak classifiers twice, and see whether they are a group.

    Parameters
    ----------
    rows : Rows
        Training images (n, c, h, w).
    n_classes : int
        C.
    seed : int
        Of the folds and of training.
    device : str, default "auto"

    Returns
    -------
    ConsistentErrors or None
        None where there are no errors, or nothing else.
    """
    with seeded(seed):  # what is trained afterwards begins as it would without
        try:
            found, again = (weak_errors(rows, n_classes, seed=seed + i, device=device) for i in range(2))
        except NoGroupsError:
            return None
        either = (found.attribute | again.attribute).sum()
        overlap = float((found.attribute & again.attribute).sum() / either)
        learnt = _learnt(rows, found, n_classes, seed, device) if overlap >= ALIKE else 0.0
    return ConsistentErrors(found, overlap, learnt)


def _learnt(rows: Samples, found: ErrorGroups, n_classes: int, seed: int, device: str) -> float:
    """Return how often a classifier to which errors count as much is right on both kinds of rows, less 1."""
    fit = stopped_nets(n_classes, [2], batch_size=64, learning_rate=1e-3, balanced="groups", device=device)
    right = cross_fit(rows.grouped(found.groups), fit, 3, seed)[0].probabilities.argmax(1).numpy() == rows.y
    cells = [[(rows.y == code) & (found.attribute == wrong) for wrong in (0, 1)] for code in range(n_classes)]
    sums = [sum(right[cell].mean() for cell in pair) for pair in cells if all(cell.any() for cell in pair)]
    return float(np.mean(sums)) - 1 if sums else 0.0
