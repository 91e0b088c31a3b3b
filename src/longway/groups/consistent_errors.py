"""Errors as a group: the same samples for every weak classifier, and samples that a classifier can get right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from longway.data.samples import Samples
from longway.groups.crossfit import cross_fit, stopped_nets
from longway.groups.errors import ErrorGroups, weak_errors
from longway.utils.device import seeded
from longway.utils.errors import NoGroupsError

# From docs/experiments/0007-sitar-default.md. Overlap of two error sets at which they are the same samples.
ALIKE = 0.8
# Accuracy above chance that a classifier must reach on errors and on other samples alike.
LEARNT = 0.15


@dataclass(frozen=True)
class ConsistentErrors:
    """Errors of weak classifiers on images, and the evidence that they are a group.

    Parameters
    ----------
    found : ErrorGroups
    overlap : float
        Samples that two separately trained weak classifiers both get wrong, as a fraction of those that either does.
        Classifiers err on different hard images, but on the same images that contradict an easy shortcut.
    learnt : float
        Sum of the held-out accuracies on errors and on other samples, minus 1, of a classifier that weights both
        equally; the mean over classes. If labels are wrong, no classifier is right on both.
    """

    found: ErrorGroups
    overlap: float
    learnt: float

    @property
    def are_a_group(self) -> bool:
        """True if the errors are consistent and can be learnt."""
        return self.overlap >= ALIKE and self.learnt >= LEARNT

    def summary(self) -> dict[str, Any]:
        """Return a record of the errors, ready for JSON."""
        sizes = np.bincount(self.found.groups).tolist()
        return {"overlap": round(self.overlap, 3), "learnt": round(self.learnt, 3), "group_sizes": sizes}


def consistent_errors(rows: Samples, n_classes: int, *, seed: int, device: str = "auto") -> ConsistentErrors | None:
    """Find the errors of weak classifiers twice, and test whether they are a group.

    Parameters
    ----------
    rows : Samples
        Training images (n, c, h, w).
    n_classes : int
        C.
    seed : int
        Seed of the folds and of training.
    device : str, default "auto"

    Returns
    -------
    ConsistentErrors or None
        None if no sample is an error, or all are.
    """
    with seeded(seed):  # later training must not depend on whether this ran
        try:
            found, again = (weak_errors(rows, n_classes, seed=seed + i, device=device) for i in range(2))
        except NoGroupsError:
            return None
        either = (found.attribute | again.attribute).sum()
        # Intersection over union of the two error sets.
        overlap = float((found.attribute & again.attribute).sum() / either)
        learnt = _learnt(rows, found, n_classes, seed, device) if overlap >= ALIKE else 0.0
    return ConsistentErrors(found, overlap, learnt)


def _learnt(rows: Samples, found: ErrorGroups, n_classes: int, seed: int, device: str) -> float:
    """Return the ``learnt`` of ``ConsistentErrors``."""
    fit = stopped_nets(n_classes, [2], batch_size=64, learning_rate=1e-3, balanced="groups", device=device)
    right = cross_fit(rows.grouped(found.groups), fit, 3, seed)[0].probabilities.argmax(1).numpy() == rows.y
    cells = [[(rows.y == code) & (found.attribute == wrong) for wrong in (0, 1)] for code in range(n_classes)]
    sums = [sum(right[cell].mean() for cell in pair) for pair in cells if all(cell.any() for cell in pair)]
    return float(np.mean(sums)) - 1 if sums else 0.0
