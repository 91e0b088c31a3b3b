"""Coloured digits: the embedded benchmark, built from scikit-learn's bundled 8x8 digits without a download."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

COLOURS = np.array([[0.1, 0.9, 0.1], [0.9, 0.1, 0.1]], np.float32)
"""Ink of attribute 0 (green) and 1 (red)."""
GROUP_NAMES = ("0-4, green", "0-4, red", "5-9, green", "5-9, red")


class ColouredDigits(NamedTuple):
    """Images (n, 3, 8, 8) in [0, 1], labels [digit >= 5], colours and groups ``2 * label + colour``, each (n,)."""

    X: np.ndarray
    y: np.ndarray
    colour: np.ndarray
    groups: np.ndarray


def coloured_digits(
    *, train_correlation: float = 0.95, ood_correlation: float = 0.05, seed: int = 0
) -> dict[str, ColouredDigits]:
    """Build the splits: a colour that predicts the label in training and reverses out of distribution.

    Parameters
    ----------
    train_correlation : float, default 0.95
        How often the colour agrees with the label in ``train``, ``val`` and ``test`` (in distribution).
    ood_correlation : float, default 0.05
        How often it does in ``ood``, which holds the same digits as ``test``, coloured anew.
    seed : int, default 0
        Draws the split and the colours.

    Returns
    -------
    dict of ColouredDigits
        ``train`` (50 %), ``val`` and ``val_balanced`` (20 %; the same digits, the second with colours that say
        nothing), ``test`` and ``ood`` (30 %).
    """
    digits = load_digits()
    grey, y = (digits.images / 16).astype(np.float32), (digits.target >= 5).astype(np.int64)
    rest, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=digits.target, random_state=seed)
    train, val = train_test_split(rest, test_size=2 / 7, stratify=digits.target[rest], random_state=seed)
    generator = np.random.default_rng(seed)

    def paint(rows: np.ndarray, correlation: float) -> ColouredDigits:
        # Exact shares in each class, not coin flips: with few samples a lucky draw would change the task.
        agrees = np.zeros(len(rows), bool)
        for label in (0, 1):
            members = generator.permutation(np.flatnonzero(y[rows] == label))
            agrees[members[: round(correlation * len(members))]] = True
        colour = np.where(agrees, y[rows], 1 - y[rows])
        images = grey[rows, None] * COLOURS[colour][:, :, None, None]
        return ColouredDigits(images, y[rows], colour, 2 * y[rows] + colour)

    return {
        "train": paint(train, train_correlation),
        "val": paint(val, train_correlation),
        "val_balanced": paint(val, 0.5),
        "test": paint(test, train_correlation),
        "ood": paint(test, ood_correlation),
    }
