"""Parts of classes that the model fails: found on one half of the data, confirmed on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import hypergeom
from sklearn.cluster import KMeans

from longway.auditing.association import holm
from longway.auditing.findings import Slice
from longway.auditing.model import accuracy
from longway.auditing.signals import Signal, SignalSplit
from longway.utils.records import Example

SMALLEST = 8
"""Samples of a slice, in each half, below which it is not put to the test."""
GAP = 0.05
"""A slice counts where its accuracy lies at least this far below that of the rest of its class."""
TESTED = 30
CLUSTERS = 6
LEADING = 10
"""Components in which clusters are sought."""

Make = Callable[[int, float], Example]


@dataclass(frozen=True)
class Proposal:
    """A part of a class, told without looking at the half that is to confirm it."""

    found_by: Literal["axis", "metadata", "word", "cluster"]
    description: str
    code: int
    signal: str
    members: np.ndarray


def find_slices(
    split: Sequence[tuple[Signal, SignalSplit]],
    points: np.ndarray,
    codes: np.ndarray,
    right: np.ndarray,
    classes: Sequence[str],
    parts: tuple[np.ndarray, np.ndarray],
    example: Make,
    seed: int,
) -> tuple[Slice, ...]:
    """Propose slices by signals and clusters, and test on the second half those that stand out on the first.

    Parameters
    ----------
    split : sequence of (Signal, Sides)
        Those whose sides may be slices.
    points : ndarray of shape (n, k)
    codes : ndarray of shape (n,)
    right : ndarray of bool of shape (n,)
        Whether the model gets a row right.
    classes : sequence of str
    parts : (ndarray, ndarray)
        Positions of the half that finds and of the half that confirms.
    example : callable
        ``example(row, value)`` makes a record of a row.
    seed : int
        Of the clusters.
    """
    first, second = (np.isin(np.arange(len(codes)), part) for part in parts)
    proposed = [
        (p, each)
        for each in [*_by_signal(split, codes, classes), *_by_cluster(points, codes, right, classes, first, seed)]
        if (p := _p_value(each, codes, right, first)) is not None and p < 0.05
    ]
    proposed = sorted(proposed, key=lambda pair: pair[0])[:TESTED]
    tested = [(p, each) for _, each in proposed if (p := _p_value(each, codes, right, second)) is not None]
    found = [
        _slice(each, p, adjusted, codes, right, classes, second, example)
        for (p, each), adjusted in zip(tested, holm([p for p, _ in tested]) if tested else [], strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (not each.confirmed, each.adjusted_p, each.accuracy.value)))


def _by_signal(
    split: Sequence[tuple[Signal, SignalSplit]], codes: np.ndarray, classes: Sequence[str]
) -> Iterator[Proposal]:
    for signal, sides in split:
        for code, name in enumerate(classes):
            high = not sides.usual[code]
            if signal.cut == 0.5 and signal.source != "axis":
                where = signal.name if high == (sides.sign > 0) else f"not {signal.name}"
            else:
                cut = sides.sign * sides.threshold
                up = high == (sides.sign > 0)
                where = f"{signal.name} is {'high' if up else 'low'} ({'above' if up else 'below'} {cut:.2f})"
            members = np.flatnonzero((codes == code) & sides.against)
            yield Proposal(signal.source, f"class {name!r} where {where}", code, signal.name, members)


def _by_cluster(
    points: np.ndarray, codes: np.ndarray, right: np.ndarray, classes: Sequence[str], first: np.ndarray, seed: int
) -> Iterator[Proposal]:
    """Cut each class into clusters of the half that finds."""
    near = points[:, :LEADING] / np.maximum(points[:, :LEADING].std(0), 1e-12)
    for code, name in enumerate(classes):
        own = codes == code
        known = own & first
        if known.sum() < 2 * SMALLEST or right[known].all():
            continue
        number = int(min(CLUSTERS, known.sum() // SMALLEST, len(np.unique(near[known], axis=0))))
        if number < 2:
            continue
        cut = KMeans(number, n_init=3, random_state=seed).fit(near[known])
        label = cut.predict(near[own])
        rows = np.flatnonzero(own)
        for k in range(number):
            where = cut.cluster_centers_[k]
            far = int(np.abs(where).argmax())
            about = f"class {name!r}, the cluster whose axis {far} is {'high' if where[far] > 0 else 'low'}"
            yield Proposal("cluster", about, code, "", rows[label == k])


def _p_value(each: Proposal, codes: np.ndarray, right: np.ndarray, half: np.ndarray) -> float | None:
    """Return the one-sided p-value, on a half, of a slice being no worse than the rest of its class."""
    inside = np.zeros(len(codes), bool)
    inside[each.members] = True
    own = half & (codes == each.code)
    n, total = int((inside & own).sum()), int(own.sum())
    if n < SMALLEST or total - n < SMALLEST:
        return None
    return float(hypergeom.cdf((right & inside & own).sum(), total, (right & own).sum(), n))


def _slice(
    each: Proposal,
    p: float,
    adjusted: float,
    codes: np.ndarray,
    right: np.ndarray,
    classes: Sequence[str],
    second: np.ndarray,
    example: Make,
) -> Slice:
    inside = np.zeros(len(codes), bool)
    inside[each.members] = True
    own = second & (codes == each.code)
    here, rest = accuracy(right[inside & own]), float(right[own & ~inside].mean())
    wrong = np.flatnonzero(inside & own & ~right)[:8]
    return Slice(
        found_by=each.found_by,
        description=each.description,
        label=classes[each.code],
        signal=each.signal,
        n=int((inside & own).sum()),
        share=float((inside & own).sum() / own.sum()),
        accuracy=here,
        rest_accuracy=rest,
        p=p,
        adjusted_p=float(adjusted),
        confirmed=bool(adjusted < 0.05 and here.value < rest - GAP),
        examples=tuple(example(int(row), float("nan")) for row in wrong),
        members=each.members,
    )
