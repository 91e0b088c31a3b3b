"""Find parts of classes that the model fails: proposed on one half of the data, tested on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import hypergeom
from sklearn.cluster import KMeans
from sklearn.tree import DecisionTreeClassifier

from longway.auditing.association import holm
from longway.auditing.estimates import accuracy
from longway.auditing.findings import Slice
from longway.auditing.signals import Signal, SignalSplit
from longway.utils.records import Example

MIN_SAMPLES = 8
"""Samples that a slice needs in each half to be tested."""
MIN_GAP = 0.05
"""A confirmed slice's accuracy lies at least this far below that of the rest of its class."""
MAX_TESTED = 30
CLUSTERS = 6
CLUSTER_COMPONENTS = 10
"""Leading components that are clustered."""
EXAMPLES = 8

MakeExample = Callable[[int, float], Example]


@dataclass(frozen=True)
class Proposal:
    """A part of a class, described without looking at the half that tests it."""

    found_by: Literal["axis", "metadata", "word", "cluster"]
    description: str
    code: int
    signal: str
    members: np.ndarray

    def inside(self, n: int) -> np.ndarray:
        """Return a mask of the n samples."""
        mask = np.zeros(n, bool)
        mask[self.members] = True
        return mask


def find_slices(
    splits: Sequence[tuple[Signal, SignalSplit]],
    points: np.ndarray,
    codes: np.ndarray,
    correct: np.ndarray,
    classes: Sequence[str],
    halves: tuple[np.ndarray, np.ndarray],
    example: MakeExample,
    seed: int,
) -> tuple[Slice, ...]:
    """Propose slices by signals and clusters, and test on the second half those that stand out on the first.

    Points are (n, k); ``correct`` says whether the model classifies a sample correctly; the first of the ``halves``
    (positions) proposes, the second tests; ``example(row, value)`` makes a record of a sample.
    """
    first, second = (np.isin(np.arange(len(codes)), half) for half in halves)
    proposals = [
        *_by_signal(splits, codes, classes),
        *_by_rule(splits, codes, correct, classes, first, seed),
        *_by_cluster(points, codes, correct, classes, first, seed),
    ]
    p_values = [
        (p, each) for each in proposals if (p := _p_value(each, codes, correct, first)) is not None and p < 0.05
    ]
    leading = sorted(p_values, key=lambda pair: pair[0])[:MAX_TESTED]
    tested = [(p, each) for _, each in leading if (p := _p_value(each, codes, correct, second)) is not None]
    found = [
        _to_slice(each, p, adjusted, codes, correct, classes, second, example)
        for (p, each), adjusted in zip(tested, holm([p for p, _ in tested]) if tested else [], strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (not each.confirmed, each.adjusted_p, each.accuracy.value)))


def _by_signal(
    splits: Sequence[tuple[Signal, SignalSplit]], codes: np.ndarray, classes: Sequence[str]
) -> Iterator[Proposal]:
    """Propose the unusual side of each class; of a column or word, whose sides have a meaning, the other one too."""
    for signal, split in splits:
        for code, name in enumerate(classes):
            for unusual in (True, False) if signal.source != "axis" else (True,):
                usually_high = split.usually_above[code] == (split.sign > 0)  # before the sign
                where = _side(signal, split, usually_high != unusual)
                members = np.flatnonzero((codes == code) & (split.contradicting == unusual))
                yield Proposal(signal.source, f"class {name!r} where {where}", code, signal.name, members)


def _side(signal: Signal, split: SignalSplit, high: bool) -> str:
    """Describe one side of a signal."""
    if signal.is_binary:
        return signal.side(high)
    words = ("high", "above") if high else ("low", "below")
    return f"{signal.name} is {words[0]} ({words[1]} {split.sign * split.threshold:.2f})"


def _by_rule(
    splits: Sequence[tuple[Signal, SignalSplit]],
    codes: np.ndarray,
    correct: np.ndarray,
    classes: Sequence[str],
    first: np.ndarray,
    seed: int,
) -> Iterator[Proposal]:
    """Propose rules over two columns or words, the leaves of a shallow tree fitted to the errors of the first half."""
    signals = [signal for signal, _ in splits if signal.source != "axis"]
    if len(signals) < 2:
        return
    values = np.stack([signal.values for signal in signals], 1)
    for code, name in enumerate(classes):
        own = codes == code
        proposing = own & first
        if proposing.sum() < 2 * MIN_SAMPLES or correct[proposing].all():
            continue
        tree = DecisionTreeClassifier(max_depth=2, min_samples_leaf=MIN_SAMPLES, random_state=seed)
        tree.fit(values[proposing], ~correct[proposing])
        leaves, rows = tree.apply(values[own]), np.flatnonzero(own)
        for leaf in np.unique(leaves):
            terms = _terms(tree.tree_, leaf, signals)
            if len(terms) == 2:  # one column twice, as in an interval, is welcome; a single term is a side of a signal
                where = " and ".join(terms)
                yield Proposal("metadata", f"class {name!r} where {where}", code, "", rows[leaves == leaf])


def _terms(tree: Any, leaf: int, signals: Sequence[Signal]) -> list[str]:
    """Describe the way from the root of a tree to a leaf."""
    terms, node = [], int(leaf)
    while node:
        parent = int(np.flatnonzero((tree.children_left == node) | (tree.children_right == node))[0])
        signal, cut = signals[tree.feature[parent]], float(tree.threshold[parent])
        high = bool(tree.children_right[parent] == node)
        if signal.is_binary:
            terms.append(signal.side(high))
        else:
            terms.append(f"{signal.name} is {'above' if high else 'below'} {cut:.2f}")
        node = parent
    return terms[::-1]


def _by_cluster(
    points: np.ndarray, codes: np.ndarray, correct: np.ndarray, classes: Sequence[str], first: np.ndarray, seed: int
) -> Iterator[Proposal]:
    """Cluster each class, on the first half, unless the model is right on all of it."""
    leading = points[:, :CLUSTER_COMPONENTS]
    scaled = leading / np.maximum(leading.std(0), 1e-12)
    for code, name in enumerate(classes):
        own = codes == code
        proposing = own & first
        if proposing.sum() < 2 * MIN_SAMPLES or correct[proposing].all():
            continue
        number = int(min(CLUSTERS, proposing.sum() // MIN_SAMPLES, len(np.unique(scaled[proposing], axis=0))))
        if number < 2:
            continue
        clustering = KMeans(number, n_init=3, random_state=seed).fit(scaled[proposing])
        label = clustering.predict(scaled[own])
        rows = np.flatnonzero(own)
        for k, center in enumerate(clustering.cluster_centers_):
            axis = int(np.abs(center).argmax())
            description = f"class {name!r}, the cluster whose axis {axis} is {'high' if center[axis] > 0 else 'low'}"
            yield Proposal("cluster", description, code, "", rows[label == k])


def _p_value(each: Proposal, codes: np.ndarray, correct: np.ndarray, half: np.ndarray) -> float | None:
    """Return the one-sided p-value, on a half, of a slice being no worse than the rest of its class (Fisher)."""
    own = half & (codes == each.code)
    inside = each.inside(len(codes)) & own
    n, total = int(inside.sum()), int(own.sum())
    if n < MIN_SAMPLES or total - n < MIN_SAMPLES:
        return None
    return float(hypergeom.cdf((correct & inside).sum(), total, (correct & own).sum(), n))


def _to_slice(
    each: Proposal,
    p: float,
    adjusted_p: float,
    codes: np.ndarray,
    correct: np.ndarray,
    classes: Sequence[str],
    second: np.ndarray,
    example: MakeExample,
) -> Slice:
    own = second & (codes == each.code)
    inside = each.inside(len(codes)) & own
    here, rest = accuracy(correct[inside]), float(correct[own & ~inside].mean())
    wrong = np.flatnonzero(inside & ~correct)[:EXAMPLES]
    return Slice(
        found_by=each.found_by,
        description=each.description,
        label=classes[each.code],
        signal=each.signal,
        n=int(inside.sum()),
        share=float(inside.sum() / own.sum()),
        accuracy=here,
        rest_accuracy=rest,
        p=p,
        adjusted_p=float(adjusted_p),
        confirmed=bool(adjusted_p < 0.05 and here.value < rest - MIN_GAP),
        examples=tuple(example(int(row), float("nan")) for row in wrong),
        members=each.members,
    )
