"""Stratified splits of samples: classes, and groups if known, are spread evenly over the parts."""

from __future__ import annotations

import numpy as np

from longway.data.samples import Samples


def deal_folds(strata: np.ndarray, n_folds: int, generator: np.random.Generator) -> np.ndarray:
    """Return the fold of each sample, of shape (n,): samples are shuffled and dealt out in turn, stratum by stratum.

    Examples
    --------
    >>> fold = deal_folds(np.array([0, 0, 0, 0, 1, 1]), 2, np.random.default_rng(0))
    >>> np.bincount(fold).tolist(), np.bincount(fold[:4]).tolist()
    ([3, 3], [2, 2])
    """
    order = generator.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    fold = np.empty(len(strata), np.int64)
    fold[order] = np.arange(len(strata)) % n_folds
    return fold


def halves(rows: Samples, n_classes: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of two stratified halves; all positions twice if a half would lack a class."""
    strata = rows.y if rows.groups is None else rows.groups * n_classes + rows.y
    fold = deal_folds(strata, 2, generator)
    first, second = np.flatnonzero(fold == 0), np.flatnonzero(fold == 1)
    n_present = len(np.unique(rows.y))
    if any(len(np.unique(rows.y[half])) < n_present for half in (first, second)):
        return np.arange(len(rows)), np.arange(len(rows))
    return first, second


def hold_out(
    y: np.ndarray, n_classes: int, fraction: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions to keep and those to set aside: a fraction of each class, at least one of its samples.

    A class with a single sample keeps it, so nothing may be set aside.
    """
    aside: list[np.ndarray] = []
    for code in range(n_classes):
        members = generator.permutation(np.flatnonzero(y == code))
        wanted = max(1, round(fraction * len(members))) if len(members) > 1 else 0
        aside.append(members[:wanted])
    chosen = np.sort(np.concatenate(aside))
    return np.setdiff1d(np.arange(len(y)), chosen), chosen
