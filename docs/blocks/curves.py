"""Accuracy over epochs under every setting of SITAR's ablations."""

from __future__ import annotations

import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from blocks.results import Results
from blocks.sitar import parts
from longway.report.figures import WIDTH, _line_style, _tidy
from longway.report.svg import to_svg
from longway.report.theme import INK, LIGHT, MUTED, SERIES

FONT = 9.0
TITLE, HEIGHT, WIDE_HEIGHT = 0.3, 1.8, 3.4
"""Heights in inches: the title, a row of two panels, a row of one panel with more lines than colours."""
EMPTY = "."
LABEL = (
    "Accuracy with reversed colours over epochs, one panel for each part of the ablations, one line for each setting."
)

Curves = dict[str, np.ndarray]
"""Accuracy after each epoch, mean over seeds, by setting."""


def sitar_curves(results: Results) -> str | None:
    """Return the drawing as SVG: means over seeds, the same accuracy axis in all panels."""
    found: dict[str, Curves] = {
        part: {
            title: np.mean([trial["curves"]["ood"] for trial in trials.values()], axis=0)
            for title, trials in settings.items()
        }
        for part, settings in parts(results.sitar_ablations or {}).items()
    }
    if not found:
        return None
    rows = _rows(found)
    heights = [WIDE_HEIGHT if left == right else HEIGHT for left, right in rows]
    figure = Figure(figsize=(WIDTH, TITLE + sum(heights)), layout="constrained")
    panels = figure.subplot_mosaic(rows, height_ratios=heights, empty_sentinel=EMPTY)
    top = 1.05 * max(curve.max() for curves in found.values() for curve in curves.values())
    for part, curves in found.items():
        _panel(panels[part], part, curves, top)
    figure.suptitle("Accuracy with reversed colours", x=0.01, ha="left", color=MUTED, fontsize=FONT + 1)
    return _file(to_svg(figure, prefix="sitar-ablations", label=LABEL))


def _rows(found: dict[str, Curves]) -> list[list[str]]:
    """Lay the parts out in rows of two; one with many lines takes a whole row."""
    rows: list[list[str]] = []
    for part, curves in found.items():
        if _wide(curves):
            rows.append([part, part])
        elif rows and rows[-1][1] == EMPTY:
            rows[-1][1] = part
        else:
            rows.append([part, EMPTY])
    return rows


def _panel(axes: Axes, part: str, curves: Curves, top: float) -> None:
    for number, (title, curve) in enumerate(curves.items()):
        axes.plot(range(1, len(curve) + 1), curve, label=title, **_line_style(number))
    axes.set_title(part, loc="left", fontsize=FONT + 1, fontweight="bold", color=INK)
    axes.set_xlabel("epoch", color=MUTED, fontsize=FONT)
    axes.set_ylim(0, top)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _tidy(axes, grid="y")
    place = {"bbox_to_anchor": (0, -0.2), "ncols": 3} if _wide(curves) else {"bbox_to_anchor": (1, 1.04)}
    axes.legend(loc="upper left", frameon=False, fontsize=FONT - 1, labelcolor=INK, **place)


def _wide(curves: Curves) -> bool:
    return len(curves) > len(SERIES)


def _file(drawing: str) -> str:
    """Turn a drawing for a page into a file: white background, colours instead of the page's variables."""
    drawing = re.sub(r"var\(--([\w-]+)\)", lambda match: LIGHT[match[1]], drawing)
    return drawing.replace("<svg ", '<svg style="background: #fff" ', 1) + "\n"
