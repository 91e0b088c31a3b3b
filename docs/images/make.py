"""Draw shortcut.png: predictions of an ordinary network when the colour that it learnt misleads.

Run as ``python docs/images/make.py``; it trains the demonstration's ordinary network on its third seed, the middle one
of three by worst group.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import SubFigure
from PIL import Image

from longway import ERM
from longway.datasets._make_digits import ColouredDigits, make_coloured_digits
from longway.demo.experiment import FIRST_SEED, NETWORK

COPIES = 4
"""Largest number of images of one digit in a part."""
FILE = Path(__file__).with_name("shortcut.png")
NAMES = ("0-4", "5-9")
INK, GREY, RIGHT, WRONG = "#1a2230", "#5b6472", "#1f6f43", "#b3261e"
TOP, CLASS_STEP, LINE_STEP, SIDE = 0.61, 0.37, 0.155, 0.082
"""Fractions of a panel: top of the first line of digits, step between classes, step between lines, side of a digit."""


def main() -> None:
    """Train the network and draw the picture."""
    torch.set_num_threads(1)  # as in the demonstration
    data = make_coloured_digits(seed=FIRST_SEED + 2)
    network = ERM(**NETWORK, random_state=FIRST_SEED + 2)
    network.fit(data["train"].X, data["train"].y, eval_set=(data["val"].X, data["val"].y))
    draw(data["train"], data["ood"], network.predict(data["ood"].X))


def draw(train: ColouredDigits, test: ColouredDigits, predicted: np.ndarray) -> None:
    """Draw images of both parts, with the predictions of those in the test part."""
    figure = plt.figure(figsize=(11, 3.7), dpi=150, facecolor="white")
    left, right = figure.subfigures(1, 2)
    _panel(left, "Training: is it 0-4 or 5-9?", "Colour gives the answer away, 9 times in 10.")
    _panel(right, "Test: the colours are swapped", "Next to each digit: an ordinary network's prediction.")
    for label in (0, 1):
        _training(left, train, label)
        _test(right, test, label, predicted)
    figure.savefig(FILE)
    with Image.open(FILE) as image:
        few = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(FILE, optimize=True)


def _panel(panel: SubFigure, title: str, words: str) -> None:
    panel.text(0.03, 0.925, title, size=15, weight="bold", color=INK, va="center")
    panel.text(0.03, 0.835, words, size=12, color=GREY, va="center")
    for label, name in enumerate(NAMES):
        middle = TOP - CLASS_STEP * label - LINE_STEP / 2 + SIDE
        panel.text(0.03, middle, name, size=14, weight="bold", color=INK, va="center")


def _training(panel: SubFigure, train: ColouredDigits, label: int) -> None:
    """Draw 20 training images of a class, one per digit: 18 whose colour agrees and two whose colour contradicts."""
    agrees, contradicts = (_apart(train, label, c) for c in (label, 1 - label))
    for place, row in enumerate([*agrees[:5], contradicts[0], *agrees[5:13], contradicts[1], *agrees[13:18]]):
        line, column = divmod(place, 10)
        _digit(panel, train.X[row], 0.13 + 0.0855 * column, TOP - CLASS_STEP * label - LINE_STEP * line)


def _test(panel: SubFigure, test: ColouredDigits, label: int, predicted: np.ndarray) -> None:
    """Draw the first 10 test images of a class whose colour contradicts it, one per digit."""
    for place, row in enumerate(_apart(test, label, 1 - label)[:10]):
        line, column = divmod(place, 5)
        x, y = 0.13 + 0.172 * column, TOP - CLASS_STEP * label - LINE_STEP * line
        _digit(panel, test.X[row], x, y)
        verdict, colour = ("right", RIGHT) if predicted[row] == label else ("wrong", WRONG)
        weight = "bold" if verdict == "wrong" else "normal"
        panel.text(x + 0.088, y + 0.09, NAMES[predicted[row]], size=11.5, color=colour, va="center")
        panel.text(x + 0.088, y + 0.028, verdict, size=8.5, color=colour, va="center", weight=weight)


def _apart(data: ColouredDigits, label: int, colour: int) -> np.ndarray:
    """Return the rows of images of a class and colour, at most one per digit; copies of a digit are adjacent."""
    rows = np.flatnonzero((data.y == label) & (data.colour == colour))
    return rows[np.diff(rows, prepend=-COPIES) >= COPIES]


def _digit(panel: SubFigure, image: np.ndarray, x: float, y: float) -> None:
    axes = panel.add_axes((x, y, SIDE, SIDE * 5.5 / 3.7))
    axes.imshow(image.transpose(1, 2, 0), interpolation="nearest", aspect="auto")
    axes.set_axis_off()


if __name__ == "__main__":
    main()
