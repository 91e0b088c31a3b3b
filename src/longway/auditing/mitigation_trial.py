"""A quick trial: what a head gains that does not lean on a signal, and what tells classes beside the signal.

Both are judged on the half that the head was not fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from longway.auditing.findings import MitigationTrial
from longway.auditing.probes import ORDINARY, SIMPLE, cross_fitted
from longway.auditing.signals import SignalSplit
from longway.metrics.group_metrics import wilson_interval
from longway.utils.records import Estimate

SMALLEST = 8
"""Samples that a group needs, over both halves, to be judged; a smaller one counts with its class's other side."""
Z = float(norm.isf(0.025))


def mitigation_trial(
    points: np.ndarray, codes: np.ndarray, sides: SignalSplit, ordinary: np.ndarray, parts: Sequence[np.ndarray]
) -> MitigationTrial | None:
    """Fit a head in which class x side of a signal count the same, and compare it with the ordinary one.

    Parameters
    ----------
    points : ndarray of shape (n, k)
    codes : ndarray of shape (n,)
    sides : Sides
        Of the signal.
    ordinary : ndarray of bool of shape (n,)
        Whether an ordinary head, that did not see it, gets a row right.
    parts : two ndarrays
        Halves; each is judged by the head of the other.

    Returns
    -------
    Trial or None
        None where no class has enough samples on its unusual side.
    """
    n_classes = len(sides.usual)
    groups = 2 * codes + sides.against
    counts = np.bincount(groups, minlength=2 * n_classes)
    small = counts < SMALLEST
    if small[1::2].all():
        return None
    groups = np.where(small[groups], 2 * codes, groups)
    logits, _ = cross_fitted(points, codes, groups, n_classes, ORDINARY, parts)
    after = logits.argmax(1) == codes
    counts = np.bincount(groups, minlength=2 * n_classes)
    used = np.flatnonzero(counts)
    before_by, after_by = (np.bincount(groups, right, 2 * n_classes)[used] for right in (ordinary, after))
    n = counts[used]
    worst = int((before_by / n).argmin())
    change = after.astype(float) - ordinary
    # where all or none of a group change, one more sample might have done otherwise
    spread = np.array([max(change[groups == g].std(), m**-0.5) * m**-0.5 for g, m in zip(used, n, strict=True)])
    gains = (after_by - before_by) / n
    last = int((after_by / n).argmin())
    return MitigationTrial(
        worst_before=_share(before_by[worst], n[worst]),
        worst_after=_share(after_by[last], n[last]),
        gain=_around(gains[worst], spread[worst]),
        balanced_gain=_around(gains.mean(), np.sqrt((spread**2).sum()) / len(used)),
        second_signal=_second_signal(points, codes, groups, sides, parts),
        average_cost=float(ordinary.mean() - after.mean()),
        smallest_group=int(n.min()),
    )


def _second_signal(
    points: np.ndarray, codes: np.ndarray, groups: np.ndarray, sides: SignalSplit, parts: Sequence[np.ndarray]
) -> Estimate:
    """Return how well a head ranks contradicting samples apart from those that lie on their side by right.

    It is the area under the curve, averaged over classes by how sure each is. The head is strongly penalised: what the
    groups leave over is weak, and the smallest group is what it is fitted to.
    """
    logits, _ = cross_fitted(points, codes, groups, len(sides.usual), SIMPLE, parts)
    total, power = 0.0, 0.0
    for code, up in enumerate(sides.usual):
        hosts = np.flatnonzero(sides.usual != up)
        there = np.isin(codes, hosts) & ~sides.against
        against = (codes == code) & sides.against
        n, m = int(against.sum()), int(there.sum())
        if min(n, m) < SMALLEST // 2:
            continue
        rows = against | there
        score = logits[rows, code] - logits[rows][:, hosts].max(1)
        precision = 12 * n * m / (n + m + 1)  # of an area where nothing is told apart
        total += precision * roc_auc_score(against[rows], score)
        power += precision
    return _around(total / power, 1 / np.sqrt(power)) if power else _around(0.5, 0.5)


def _share(right: float, n: float) -> Estimate:
    low, high = wilson_interval(right, n)
    return Estimate(float(right / n), float(low), float(high))


def _around(value: float, error: float) -> Estimate:
    return Estimate(float(value), float(value - Z * error), float(value + Z * error))
