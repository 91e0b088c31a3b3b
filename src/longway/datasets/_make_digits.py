"""Coloured digits: the embedded benchmark, built from scikit-learn's bundled digits without a download."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

COLOURS = np.array([[0.1, 0.9, 0.1], [0.9, 0.1, 0.1]], np.float32)
"""Ink of attribute 0 (green) and 1 (red)."""
GROUP_NAMES = ("0-4, green", "0-4, red", "5-9, green", "5-9, red")
SIZE = 10
"""Side in pixels of the canvas on which the 8x8 digits are placed."""


class ColouredDigits(NamedTuple):
    """Images (n, 3, 10, 10) in [0, 1], labels [digit >= 5], colours and groups ``2 * label + colour``, each (n,)."""

    X: np.ndarray
    y: np.ndarray
    colour: np.ndarray
    groups: np.ndarray


def make_coloured_digits(
    *, train_correlation: float = 0.9, ood_correlation: float = 0.1, copies: int = 4, seed: int = 0
) -> dict[str, ColouredDigits]:
    """Build the splits: a colour that predicts the label in training and reverses out of distribution.

    Each digit appears several times, each time at a place of its own on a slightly larger canvas and with a colour of
    its own. No digit is in two of the train, val and test parts.

    Parameters
    ----------
    train_correlation : float, default 0.9
        How often the colour agrees with the label in ``train``, ``val`` and ``test`` (in distribution).
    ood_correlation : float, default 0.1
        How often it does in ``ood``, which holds the same digits as ``test``, placed and coloured anew.
    copies : int, default 4
        Images of each digit in ``train`` and ``val``; half of it in ``test`` and ``ood``, one at least.
    seed : int, default 0
        Draws the split, the places and the colours.

    Returns
    -------
    dict of ColouredDigits
        ``train`` (50 % of the digits), ``val`` and ``val_balanced`` (20 %; the second with colours that say nothing),
        ``test`` and ``ood`` (30 %).
    """
    digits = load_digits()
    grey, y = (digits.images / 16).astype(np.float32), (digits.target >= 5).astype(np.int64)
    rest, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=digits.target, random_state=seed)
    train, val = train_test_split(rest, test_size=2 / 7, stratify=digits.target[rest], random_state=seed)
    generator = np.random.default_rng(seed)

    def paint(rows: np.ndarray, times: int, correlation: float) -> ColouredDigits:
        rows = np.repeat(rows, times)
        images = _placed(grey[rows], generator)
        # Exact shares in each class, not coin flips: with few samples a lucky draw would change the task.
        agrees = np.zeros(len(rows), bool)
        for label in (0, 1):
            members = generator.permutation(np.flatnonzero(y[rows] == label))
            agrees[members[: round(correlation * len(members))]] = True
        colour = np.where(agrees, y[rows], 1 - y[rows])
        return ColouredDigits(
            images[:, None] * COLOURS[colour][:, :, None, None], y[rows], colour, 2 * y[rows] + colour
        )

    few = max(1, copies // 2)
    return {
        "train": paint(train, copies, train_correlation),
        "val": paint(val, copies, train_correlation),
        "val_balanced": paint(val, copies, 0.5),
        "test": paint(test, few, train_correlation),
        "ood": paint(test, few, ood_correlation),
    }


def _placed(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Place each image (n, 8, 8) on its own canvas (n, SIZE, SIZE)."""
    height = images.shape[1]
    canvas = np.zeros((len(images), SIZE, SIZE), images.dtype)
    corners = generator.integers(0, SIZE - height + 1, (len(images), 2))
    pixels = np.arange(height)
    rows = corners[:, :1] + pixels
    columns = corners[:, 1:] + pixels
    canvas[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]] = images
    return canvas
