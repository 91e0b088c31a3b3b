"""Balancing: weights and draws under which classes, groups or other codes are equally frequent."""

from __future__ import annotations

import numpy as np

from longway.data.samples import Samples


def inverse_frequency(codes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return, for each sample, one over the total weight of all samples with its code, of shape (n,).

    Weights times these sum to 1 for every code; a code without weight gets 0.

    Examples
    --------
    >>> inverse_frequency(np.array([0, 0, 2, 0, 2]), np.array([1, 1, 1, 1, 0])).round(2).tolist()
    [0.33, 0.33, 1.0, 0.33, 1.0]
    """
    totals = np.bincount(codes, weight)
    return np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0)[codes]


def balanced_weights(codes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return weights (n,) that sum to 1 and give every code the same total, in proportion to ``weight`` within it.

    Examples
    --------
    >>> balanced_weights(np.array([0, 0, 1]), np.ones(3)).tolist()
    [0.25, 0.25, 0.5]
    """
    totals = np.bincount(codes, weight)
    weights = weight / np.where(totals > 0, totals, 1)[codes]
    return weights / weights.sum()


def log_prior(codes: np.ndarray, weight: np.ndarray, n_codes: int) -> np.ndarray:
    """Return the logarithm of each code's proportion of the weight, of shape (n_codes,); at least that of 1e-12.

    Examples
    --------
    >>> log_prior(np.array([0, 1, 1, 1]), np.ones(4), 2).round(2).tolist()
    [-1.39, -0.29]
    """
    totals = np.bincount(codes, weight, n_codes)
    return np.log((totals / totals.sum()).clip(min=1e-12))


def group_cells(rows: Samples) -> np.ndarray:
    """Return the cell of each sample, of shape (n,): its class within its group, or its class without groups."""
    codes = rows.y if rows.groups is None else rows.groups * (rows.y.max() + 1) + rows.y
    return np.unique(codes, return_inverse=True)[1]


def draw_per_code(codes: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Draw the positions of at most ``n`` samples of each code, code by code in random order."""
    return np.concatenate([generator.permutation(np.flatnonzero(codes == code))[:n] for code in np.unique(codes)])


def draw_equally(codes: np.ndarray, generator: np.random.Generator, usable: np.ndarray | None = None) -> np.ndarray:
    """Draw positions, in ascending order, of as many samples of each code as the rarest code has.

    Parameters
    ----------
    codes : ndarray of shape (n,)
    generator : numpy Generator
    usable : ndarray of shape (n,), bool, optional
        Samples to draw from; a code without any is left out.

    Examples
    --------
    >>> codes = np.array([0, 0, 0, 1, 1, 2])
    >>> chosen = draw_equally(codes, np.random.default_rng(0), np.arange(6) < 5)
    >>> np.bincount(codes[chosen]).tolist()
    [2, 2]
    """
    positions = np.arange(len(codes)) if usable is None else np.flatnonzero(usable)
    rarest = np.unique(codes[positions], return_counts=True)[1].min()
    return np.sort(positions[draw_per_code(codes[positions], rarest, generator)])
