"""Draws of shortcuts and samples with exact proportions; independent draws would change the task with every seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def correlated(y: np.ndarray, share: float, generator: np.random.Generator, n_values: int = 2) -> np.ndarray:
    """Draw a value for each label that agrees with it in an exact proportion of every class.

    Parameters
    ----------
    y : ndarray of int of shape (n,)
        Labels.
    share : float
        Share of each class whose value is ``y % n_values``; the others have any other value, all as likely.
    generator : numpy.random.Generator
    n_values : int, default 2

    Returns
    -------
    ndarray of int64 of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> y = np.repeat([0, 1], 10)
    >>> value = correlated(y, 0.9, np.random.default_rng(0))
    >>> (value == y).reshape(2, 10).sum(1).tolist()
    [9, 9]
    """
    values = y.astype(np.int64) % n_values
    for label in np.unique(y):
        members = generator.permutation(np.flatnonzero(y == label))
        changed = members[round(share * len(members)) :]
        values[changed] = (values[changed] + generator.integers(1, n_values, len(changed))) % n_values
    return values


def equal_groups(codes: np.ndarray, n_groups: int, generator: np.random.Generator) -> np.ndarray:
    """Choose as many samples of each group as the smallest has; none if a group is empty.

    Parameters
    ----------
    codes : ndarray of int of shape (n,)
        Group of each row, from 0 to ``n_groups - 1``.
    n_groups : int
    generator : numpy.random.Generator

    Returns
    -------
    ndarray of int of shape (m,)
        Positions, in their order.
    """
    least = np.bincount(codes, minlength=n_groups).min()
    chosen = [generator.permutation(np.flatnonzero(codes == code))[:least] for code in range(n_groups)]
    return np.sort(np.concatenate(chosen))


def induced(y: np.ndarray, agrees: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Choose as many samples as possible with the given proportion of agreement between attribute and label in each
    class.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    agrees : ndarray of bool of shape (n,)
        Whether the attribute agrees with the label.
    share : float
        From 0 to 1; 1 keeps no contradicting row.
    generator : numpy.random.Generator

    Returns
    -------
    ndarray of int of shape (m,)
        Positions, in their order.

    Examples
    --------
    >>> import numpy as np
    >>> y, agrees = np.zeros(100, int), np.arange(100) < 60
    >>> rows = induced(y, agrees, 0.75, np.random.default_rng(0))
    >>> int(agrees[rows].sum()), len(rows)
    (60, 80)
    """
    kept = []
    for label in np.unique(y):
        with_it, against = (np.flatnonzero((y == label) & (agrees == side)) for side in (True, False))
        n = min(len(with_it) / share if share else np.inf, len(against) / (1 - share) if share < 1 else np.inf)
        for rows, part in ((with_it, share), (against, 1 - share)):
            kept.append(generator.permutation(rows)[: round(n * part)])
    return np.sort(np.concatenate(kept))


def pair_names(y: np.ndarray, s: np.ndarray, y_names: Sequence[str], s_names: Sequence[str]) -> np.ndarray:
    """Name the group of each sample, as in "waterbird, land".

    Parameters
    ----------
    y, s : ndarray of int of shape (n,)
        Label and attribute, as positions in their names.
    y_names, s_names : sequence of str

    Returns
    -------
    ndarray of str of shape (n,)
    """
    names = np.array([f"{label}, {value}" for label in y_names for value in s_names])
    return names[y * len(s_names) + s]
