"""How pure the rare groups of an inferred attribute are, and which of their rows to leave out, without a group label.

Where an attribute is read off features, rows of the commonest groups are misread now and then. The rows of a rare group
are few, so that those which were misread into it can outnumber its own: of faces that were taken for smiling women
where nearly all women do not smile, two thirds may be men. A method that balances such groups keeps the shortcut.

Rows that have the attribute by right look alike in all classes, as seen by a head that tells the attribute where every
group counts the same. So the classes in which the value is common say how sure of it such a head is, and those of a
rare group that are less sure are too many: that is its purity, and it rises with the least sureness that is asked for.

They do not look alike where features were learnt from the same rows, which then show the label in everything. So a
second estimate, that knows of one class only, must agree that something is wrong: as many rows are misread on one side
of a class's usual rows as lie equally far on the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor

from longway.data.samples import Samples
from longway.data.weights import inverse_frequency
from longway.groups._base import InferredGroups
from longway.groups.crossfit import CrossFit, cross_fit
from longway.linear.fit import fit_linear
from longway.utils.device import seeded

LEAST = 0.5
"""Purity from which a group is taken as it is."""
UNLIKE = 0.15
"""Purity below which rows that have the value by right look different from class to class, so that it says nothing: as
features that a network learnt from the same rows do."""
DISTINCT = 0.85
"""Purity by the second estimate, the mean over groups, from which they are taken as they are."""
FEWEST = 20
"""Rows of a group below which nothing can be said of it, and that are always kept."""
PLACES = np.arange(0, 0.95, 0.1)
"""Quantiles of how sure the head is of rows that have the value by right, tried in turn as the least."""
SURE = (0.5, 0.7)
"""Quantiles beyond which hardly a row is misread."""


@dataclass(frozen=True)
class Purity:
    """Which rows surely have an inferred attribute's value, and what judges that.

    Parameters
    ----------
    confident : ndarray of shape (n,), bool
        Of the training rows: False for those of rare groups that are more likely misread.
    shares : dict of (int, int) to float
        Estimated purity of each rare group (class, value) before rows are left out.
    least : dict of (int, int) to float
        How much surer of the value than of its class's usual one the head must be, in those groups where rows are left
        out.
    usual : ndarray of shape (C,)
        The commonest value in each class.
    judge : CrossFit
        Tells the attribute.
    """

    confident: np.ndarray
    shares: dict[tuple[int, int], float]
    least: dict[tuple[int, int], float]
    usual: np.ndarray
    judge: CrossFit

    def sure_of(self, rows: Samples, attribute: np.ndarray) -> np.ndarray:
        """Return the same of other rows with their inferred attribute (m,): bool, of shape (m,)."""
        if not self.least:
            return np.ones(len(rows), bool)
        return _above(_scores(self.judge.predict(rows)), rows.y, attribute, self.usual, self.least)


def group_purity(rows: Samples, attribute: np.ndarray, *, seed: int, l2: float = 10.0) -> Purity:
    """Estimate the purity of rare groups (class x attribute), and leave out rows until half of each are right.

    Parameters
    ----------
    rows : Rows of n features
        Training data.
    attribute : ndarray of shape (n,), int
        Inferred values from 0, which mean the same in every class.
    seed : int
        Of the halves: heads are fitted to each, and judge the rows of the other.
    l2 : float, default 10
        Of these heads, on standardised features.

    Returns
    -------
    Purity
    """
    n_values = int(attribute.max()) + 1
    groups = rows.y * n_values + attribute
    weight = rows.weight * inverse_frequency(groups, rows.weight)
    task = replace(rows, y=attribute.astype(np.int64), weight=weight, groups=None)
    with seeded(seed):  # what is fitted afterwards begins as it would without
        judge = cross_fit(task, lambda part, _: [fit_linear(part, n_values, l2)], 2, seed)[0]
    scores, counted = _scores(judge.probabilities), rows.weight > 0
    usual = np.stack([np.bincount(attribute[rows.y == c], minlength=n_values) for c in np.unique(rows.y)]).argmax(1)
    shares, bounds, distinct = {}, {}, []
    for code, value in product(range(len(usual)), range(n_values)):
        own = (rows.y == code) & (attribute == value) & counted
        by_right = np.isin(rows.y, np.flatnonzero(usual == value)) & (attribute == value) & counted
        if value == usual[code] or min(own.sum(), by_right.sum()) < FEWEST:
            continue
        margins = scores[:, value] - scores[:, usual[code]]
        shares[code, value], bounds[code, value] = _bound(margins[own], margins[by_right])
        of_class = (rows.y == code) & counted
        distinct.append(_distinct(margins[of_class], np.median(margins[of_class & (attribute == usual[code])])))
    blurred = bool(distinct) and np.mean(distinct) < DISTINCT
    least = {group: bound for group, bound in bounds.items() if blurred and bound > -np.inf}
    return Purity(_above(scores, rows.y, attribute, usual, least), shares, least, usual, judge)


def _scores(probabilities: Tensor) -> np.ndarray:
    """Return log-probabilities."""
    return probabilities.double().clamp_min(1e-12).log().numpy()


def _above(
    scores: np.ndarray, y: np.ndarray, attribute: np.ndarray, usual: np.ndarray, least: dict[tuple[int, int], float]
) -> np.ndarray:
    """Return whether rows (m,) are above the bound of their group, if it has one."""
    above = np.ones(len(y), bool)
    for (code, value), bound in least.items():
        own = (y == code) & (attribute == value)
        above[own] = scores[own, value] - scores[own, usual[code]] > bound
    return above


def _distinct(margins: np.ndarray, middle: float) -> float:
    """Return which share of a class's rows beyond 0 is more than the tail of rows that are usual, around ``middle``."""
    beyond = max(int(np.sum(margins > 0)), 1)
    return 1 - min(np.sum(margins < 2 * middle) / beyond, 1)


def _bound(own: np.ndarray, by_right: np.ndarray) -> tuple[float, float]:
    """Return the purity of a rare group, and the margin above which it is pure enough; -inf where it is as it is."""
    real = np.mean([np.sum(own > np.quantile(by_right, place)) / (1 - place) for place in SURE])
    share, fewest = float(min(real / len(own), 1)), float(np.sort(own)[-FEWEST - 1 :][0])
    bound = -np.inf
    for place in PLACES[PLACES > 0] if UNLIKE <= share < LEAST else ():
        bound = min(float(np.quantile(by_right, place)), fewest)
        if bound == fewest or real * (1 - place) >= LEAST * np.sum(own > bound):
            break
    return share, bound


def judge_groups(found: InferredGroups, rows: Samples, about: dict[str, Any]) -> Purity | None:
    """Judge inferred groups of features by their purity, and record it; None where nothing can be said.

    Parameters
    ----------
    found : InferredGroups
        Of ``rows``.
    rows : Rows
    about : dict
        With the ``seed`` of the inference; gets ``purity``, a list of (class, value, share), and ``left_out``.
    """
    attribute = found.common_attribute() if len(rows.shape) == 1 else None
    if attribute is None:
        return None
    judged = group_purity(rows, attribute, seed=about["seed"])
    about["purity"] = [[code, value, round(share, 3)] for (code, value), share in judged.shares.items()]
    about["left_out"] = int((~judged.confident).sum())
    return judged


def confident_samples(found: InferredGroups, judged: Purity | None, rows: Samples) -> np.ndarray:
    """Return which of other rows surely are of their inferred group, of shape (m,), bool."""
    attribute = None if judged is None else found.common_attribute(rows)
    return np.ones(len(rows), bool) if judged is None or attribute is None else judged.sure_of(rows, attribute)
