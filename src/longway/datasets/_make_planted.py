"""Synthetic features with a planted shortcut of known strength and simplicity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Planted(NamedTuple):
    """Features (n, d), labels, shortcut values and groups ``2 * y + shortcut``, each (n,)."""

    X: np.ndarray
    y: np.ndarray
    shortcut: np.ndarray
    groups: np.ndarray


def make_planted_shortcut(
    n: int,
    *,
    correlation: float,
    n_features: int = 20,
    core: float = 1.5,
    shortcut: float = 3.0,
    xor_core: bool = False,
    minority: float = 0.5,
    seed: int = 0,
    rotation_seed: int = 0,
) -> Planted:
    """Draw two classes that differ in a weak core feature and a strong shortcut, hidden by a random rotation.

    Parameters
    ----------
    n : int
        Number of samples.
    correlation : float
        Share of samples whose shortcut agrees with the label: 1 leaves no contradicting sample, 0.5 no shortcut.
    n_features : int, default 20
        d; beyond the core and the shortcut, features are noise of deviation 1.
    core, shortcut : float, default 1.5 and 3.0
        Distance of the two class means from their midpoint, in deviations of the noise.
    xor_core : bool, default False
        Make the core the product of two signs: as telling as before, and invisible to a linear look.
    minority : float, default 0.5
        Share of class 1.
    seed : int, default 0
        Of the samples.
    rotation_seed : int, default 0
        Of the rotation; data of one problem share it.

    Returns
    -------
    Planted
    """
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.diff(np.floor(minority * np.arange(n + 1))).astype(np.int64))
    agrees = generator.permutation(np.arange(n) < round(correlation * n))
    value = np.where(agrees, y, 1 - y)
    X = generator.normal(size=(n, n_features))
    X[:, 0] += shortcut * (2 * value - 1)
    first = 2 * generator.integers(0, 2, n) - 1 if xor_core else np.ones(n)
    X[:, 1] += core * first * (2 * y - 1)
    if xor_core:
        X[:, 2] += core * first
    rotation = np.linalg.qr(np.random.default_rng(rotation_seed).normal(size=(n_features, n_features)))[0]
    return Planted(X @ rotation, y, value, 2 * y + value)
