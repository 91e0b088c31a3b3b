"""Try a quick mitigation: fit a head that does not rely on a signal and compare it with the ordinary one.

Both heads are judged on the half that they were not fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from longway.auditing.estimates import Z, proportion, symmetric
from longway.auditing.findings import MitigationTrial
from longway.auditing.probes import ORDINARY, STRONG, cross_fit_heads
from longway.auditing.signals import SignalSplit
from longway.utils.records import Estimate

MIN_GROUP_SIZE = 8
"""Samples that a group needs, over both halves; a smaller one is merged with its class's other side."""


def mitigation_trial(
    points: np.ndarray, codes: np.ndarray, split: SignalSplit, ordinary: np.ndarray, halves: Sequence[np.ndarray]
) -> MitigationTrial | None:
    """Fit a head with the groups class x side weighted equally, and compare it with the ordinary head.

    Points are (n, k); ``ordinary`` (n,) says which samples an ordinary head that did not see them classifies correctly.
    Returns None if no class has enough samples on its unusual side.
    """
    n_classes = len(split.usually_above)
    groups = 2 * codes + split.contradicting
    small = np.bincount(groups, minlength=2 * n_classes) < MIN_GROUP_SIZE
    if small[1::2].all():
        return None
    groups = np.where(small[groups], 2 * codes, groups)
    logits, _ = cross_fit_heads(points, codes, groups, n_classes, ORDINARY, halves)
    mitigated = logits.argmax(1) == codes
    counts = np.bincount(groups, minlength=2 * n_classes)
    used = np.flatnonzero(counts)
    n = counts[used]
    before, after = (np.bincount(groups, correct, 2 * n_classes)[used] for correct in (ordinary, mitigated))
    worst_before, worst_after = int((before / n).argmin()), int((after / n).argmin())
    change = mitigated.astype(float) - ordinary
    # If all or none of a group change, its std is 0; m**-0.5 allows for one more sample that behaves otherwise.
    error = np.array([max(change[groups == g].std(), m**-0.5) * m**-0.5 for g, m in zip(used, n, strict=True)])
    gains = (after - before) / n
    return MitigationTrial(
        worst_before=proportion(before[worst_before], n[worst_before]),
        worst_after=proportion(after[worst_after], n[worst_after]),
        gain=symmetric(gains[worst_before], Z * error[worst_before]),
        balanced_gain=symmetric(gains.mean(), Z * (np.sqrt((error**2).sum()) / len(used))),
        second_signal=_second_signal(points, codes, groups, split, halves),
        average_cost=float(ordinary.mean() - mitigated.mean()),
        smallest_group=int(n.min()),
    )


def _second_signal(
    points: np.ndarray, codes: np.ndarray, groups: np.ndarray, split: SignalSplit, halves: Sequence[np.ndarray]
) -> Estimate:
    """Return how well a head separates contradicting samples from those that usually lie on their side.

    It is the area under the curve, averaged over classes with the inverse variance as weight. The head is strongly
    penalised: what the groups leave is weak, and the smallest group is what it is fitted to.
    """
    logits, _ = cross_fit_heads(points, codes, groups, len(split.usually_above), STRONG, halves)
    total, precision = 0.0, 0.0
    for code, above in enumerate(split.usually_above):
        other_classes = np.flatnonzero(split.usually_above != above)
        residents = np.isin(codes, other_classes) & ~split.contradicting
        intruders = (codes == code) & split.contradicting
        n, m = int(intruders.sum()), int(residents.sum())
        if min(n, m) < MIN_GROUP_SIZE // 2:
            continue
        rows = intruders | residents
        score = logits[rows, code] - logits[rows][:, other_classes].max(1)
        weight = 12 * n * m / (n + m + 1)  # inverse variance of the area if nothing separates the two (Mann-Whitney)
        total += weight * roc_auc_score(intruders[rows], score)
        precision += weight
    if not precision:
        return symmetric(0.5, 0.5, 0.0)
    return symmetric(total / precision, Z / np.sqrt(precision), 0.0)
