"""Bootstrap resamples of test samples, and the metrics on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from longway.bench.results import Test

_FEW_ALIKE = 6
"""Mean size of a kind below which drawing sample by sample is faster."""

_DRAWN_BY_SAMPLE, _DRAWN_BY_KIND = 2**16, 2**22
"""Size of a block of draws: small enough for a processor's cache and for memory."""


def resample(tests: Sequence[Test], resamples: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Resample the samples of one test set, and return every metric on each resample.

    Samples of one group that the same tests got right are alike; how many of each kind are drawn is multinomial, so
    that the cost grows with the number of kinds rather than of samples.

    Parameters
    ----------
    tests : sequence of Test
        Of the same samples.
    resamples : int
    generator : numpy.random.Generator

    Returns
    -------
    dict of str to ndarray of shape (resamples, len(tests))
        By the figures' names; those that do not exist here are absent.
    """
    groups = np.asarray(tests[0].groups)
    marks = np.asarray(tests[0].classes).astype(np.uint16)
    correct = np.stack([test.correct for test in tests], axis=1)
    filled = np.flatnonzero(np.bincount(groups))
    drawn = [
        _drawn(correct[groups == g], marks[groups == g], int(marks.max()) + 1, resamples, generator) for g in filled
    ]
    hits = np.stack([by_class.sum(axis=2) for by_class, _ in drawn], axis=2)
    sizes = np.bincount(groups)[filled]
    figures = {"average": hits.sum(axis=2) / len(groups)}
    if tests[0].metrics.groups is None:
        figures |= _class_figures(hits, np.broadcast_to(sizes, (resamples, len(sizes))))
        return figures
    figures |= _class_figures(sum(by_class for by_class, _ in drawn), sum(n for _, n in drawn))
    figures["worst_group"] = (hits / sizes).min(axis=2)
    weights = np.array([_training_weights(test, sizes) for test in tests])
    if not np.isnan(weights).any():
        figures["reweighted_average"] = (hits / sizes * weights).sum(axis=2)
    return figures


def _drawn(
    correct: np.ndarray, classes: np.ndarray, count: int, resamples: int, generator: np.random.Generator
) -> tuple[Any, Any]:
    """Return the correct predictions of each test per class among n drawn samples, and the class sizes.

    Parameters
    ----------
    correct : ndarray of bool of shape (n, tests)
    classes : ndarray of uint16 of shape (n,)
    count : int
        Number of classes.

    Returns
    -------
    hits : ndarray of shape (resamples, tests, count)
    sizes : ndarray of shape (resamples, count)
    """
    packed = np.concatenate([np.packbits(correct, axis=1), classes[:, None].view(np.uint8)], axis=1)
    kinds = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, kind, alike = np.unique(kinds, return_index=True, return_inverse=True, return_counts=True)
    # Whole numbers up to 2^24 are exact in single precision, in whatever order they are added
    patterns, owner = correct[first].astype(np.float32), classes[first]
    hits, sizes = np.zeros((resamples, correct.shape[1], count)), np.zeros((resamples, count))
    start = 0
    for counts in _counts(kind, alike, resamples, generator):
        rows = slice(start, start + len(counts))
        for each in np.unique(owner):
            hits[rows, :, each] = counts[:, owner == each] @ patterns[owner == each]
            sizes[rows, each] = counts[:, owner == each].sum(axis=1)
        start = rows.stop
    return hits, sizes


def _counts(
    kind: np.ndarray, alike: np.ndarray, resamples: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield the counts of each kind, float32 arrays (some resamples, kinds), by the faster method."""
    n, kinds = len(kind), len(alike)
    by_sample = n < _FEW_ALIKE * kinds
    step = max(1, (_DRAWN_BY_SAMPLE if by_sample else _DRAWN_BY_KIND) // (n if by_sample else kinds))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        if by_sample:
            drawn = kind[generator.integers(0, n, (rows, n), dtype=np.uint32)] + kinds * np.arange(rows)[:, None]
            yield np.bincount(drawn.ravel(), minlength=rows * kinds).reshape(rows, kinds).astype(np.float32)
        else:
            yield generator.multinomial(n, alike / n, size=rows).astype(np.float32)


def _class_figures(hits: np.ndarray, sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics of hits (resamples, tests, classes) and sizes (resamples, classes), ignoring empty classes."""
    filled = (sizes > 0)[:, None, :]
    recalls = hits / np.maximum(sizes, 1)[:, None, :]
    lowest = np.where(filled, recalls, math.inf).min(axis=2)
    return {"worst_class": lowest, "balanced": recalls.sum(axis=2) / filled.sum(axis=2)}


def _training_weights(test: Test, sizes: np.ndarray) -> np.ndarray:
    """Return each non-empty group's proportion of the training data; NaN if unknown."""
    filled = [group for group in test.metrics.groups or () if group.n]
    weights = np.array([math.nan if group.train_n is None else group.train_n for group in filled], dtype=float)
    if [group.n for group in filled] != sizes.tolist() or not weights.sum():
        return np.full(len(sizes), math.nan)
    return weights / weights.sum()
