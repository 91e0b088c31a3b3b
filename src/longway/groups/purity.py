"""Purity of rare inferred groups, estimated without group labels, and the samples to leave out of them.

An attribute inferred from features is sometimes wrong for samples of the frequent groups. A rare group has few samples,
so those misassigned to it can outnumber its own: where few women smile, two thirds of the inferred smiling women may be
men. A method that balances such groups keeps the shortcut.

A head that predicts the attribute from equally weighted groups sees the true samples of a value alike in all classes.
Its scores in the classes where the value is frequent therefore tell how the true samples of a rare group are scored;
additional samples with lower scores are misassigned. Their fraction gives the purity, which rises with the lowest score
that is accepted.

Scores are not alike in all classes if the features were trained on the same samples, and then encode the label
everywhere. A second estimate from one class alone must therefore agree that the group is impure: as many samples are
misassigned on one side of a class's usual samples as lie equally far on the other.
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

# All constants are from docs/experiments/0011-purity-of-inferred-groups.md.
# Purity at which a group is used unchanged.
LEAST = 0.5
# Purity below which the estimate is invalid, because the value looks different from class to class.
UNLIKE = 0.15
# Purity by the second estimate, averaged over groups, at which groups are used unchanged.
DISTINCT = 0.85
# Samples that an estimate needs, and that a group always keeps.
FEWEST = 20
# Quantiles of the scores of true samples, tried in turn as the lowest accepted score.
PLACES = np.arange(0, 0.95, 0.1)
# Quantiles above which almost no sample is misassigned.
CERTAIN = (0.5, 0.7)


@dataclass(frozen=True)
class Purity:
    """The samples that certainly have their inferred value, and the criterion for other samples.

    Parameters
    ----------
    confident : ndarray of shape (n,), bool
        False for training samples of rare groups that are probably misassigned.
    shares : dict of (int, int) to float
        Estimated purity of each rare group (class, value) before samples are left out.
    least : dict of (int, int) to float
        Log-odds of the value against the usual one of its class that the head must exceed, in the groups that leave out
        samples.
    usual : ndarray of shape (C,)
        The most frequent value in each class.
    judge : CrossFit
        Predicts the attribute.
    """

    confident: np.ndarray
    shares: dict[tuple[int, int], float]
    least: dict[tuple[int, int], float]
    usual: np.ndarray
    judge: CrossFit

    def confident_in(self, rows: Samples, attribute: np.ndarray) -> np.ndarray:
        """Return ``confident`` for other samples with their inferred attribute (m,), of shape (m,)."""
        if not self.least:
            return np.ones(len(rows), bool)
        return _above(_scores(self.judge.predict(rows)), rows.y, attribute, self.usual, self.least)


def group_purity(rows: Samples, attribute: np.ndarray, *, seed: int, l2: float = 10.0) -> Purity:
    """Estimate the purity of rare groups (class x attribute), and leave out samples until half of each are right.

    Parameters
    ----------
    rows : Samples of n features
        Training data.
    attribute : ndarray of shape (n,), int
        Inferred values from 0, with the same meaning in every class.
    seed : int
        Seed of the two halves for cross-fitting.
    l2 : float, default 10
        Penalty of the heads, on standardised features.

    Returns
    -------
    Purity
    """
    n_values = int(attribute.max()) + 1
    groups = rows.y * n_values + attribute
    weight = rows.weight * inverse_frequency(groups, rows.weight)
    task = replace(rows, y=attribute.astype(np.int64), weight=weight, groups=None)
    with seeded(seed):  # later fits must not depend on whether this ran
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
    """Return whether samples (m,) exceed the bound of their group, if it has one."""
    above = np.ones(len(y), bool)
    for (code, value), bound in least.items():
        own = (y == code) & (attribute == value)
        above[own] = scores[own, value] - scores[own, usual[code]] > bound
    return above


def _distinct(margins: np.ndarray, middle: float) -> float:
    """Return the fraction of samples beyond 0 that usual ones, symmetric around ``middle``, do not explain."""
    # By symmetry around the middle, usual samples beyond 0 are as many as those below twice the middle.
    beyond = max(int(np.sum(margins > 0)), 1)
    return 1 - min(np.sum(margins < 2 * middle) / beyond, 1)


def _bound(own: np.ndarray, by_right: np.ndarray) -> tuple[float, float]:
    """Return the purity of a rare group, and the margin above which it is pure enough; -inf if unchanged."""
    # Above a high quantile q of true samples there is hardly a misassigned one, so own samples above it, divided
    # by (1 - q), estimate the number of true ones.
    real = np.mean([np.sum(own > np.quantile(by_right, place)) / (1 - place) for place in CERTAIN])
    purity, fewest = float(min(real / len(own), 1)), float(np.sort(own)[-FEWEST - 1 :][0])
    bound = -np.inf
    for place in PLACES[PLACES > 0] if UNLIKE <= purity < LEAST else ():
        bound = min(float(np.quantile(by_right, place)), fewest)
        if bound == fewest or real * (1 - place) >= LEAST * np.sum(own > bound):
            break
    return purity, bound


def judge_groups(found: InferredGroups, rows: Samples, about: dict[str, Any]) -> Purity | None:
    """Estimate the purity of inferred groups of features and record it; None if it cannot be estimated.

    Parameters
    ----------
    found : InferredGroups
        Groups of ``rows``.
    rows : Samples
    about : dict
        Record with the ``seed`` of the inference; gets ``purity``, a list of (class, value, purity), and ``left_out``.
    """
    attribute = found.common_attribute() if len(rows.shape) == 1 else None
    if attribute is None:
        return None
    judged = group_purity(rows, attribute, seed=about["seed"])
    about["purity"] = [[code, value, round(share, 3)] for (code, value), share in judged.shares.items()]
    about["left_out"] = int((~judged.confident).sum())
    return judged


def confident_samples(found: InferredGroups, judged: Purity | None, rows: Samples) -> np.ndarray:
    """Return whether other samples certainly belong to their inferred group, of shape (m,), bool."""
    attribute = None if judged is None else found.common_attribute(rows)
    return np.ones(len(rows), bool) if judged is None or attribute is None else judged.confident_in(rows, attribute)
