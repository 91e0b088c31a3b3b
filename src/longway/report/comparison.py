"""Figures that compare methods: estimates with intervals, and ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from longway.report.figures import WIDTH, _shorten, _tidy
from longway.report.theme import ACCENT, FAINT, INK, MUTED, SERIES
from longway.report.tips import tip
from longway.utils.errors import LongwayError


class Dot(NamedTuple):
    """One line of a dot plot.

    Parameters
    ----------
    name : str
    value, low, high : float
        NaN leaves the line empty.
    single : sequence of float
        Values of single seeds, drawn small.
    printed : float
        A published value, NaN for none.
    """

    name: str
    value: float
    low: float
    high: float
    single: Sequence[float] = ()
    printed: float = math.nan


def dots(lines: Sequence[Dot], xlabel: str, *, highlight: str = "", baseline: str = "", oracle: bool = False) -> Figure:
    """Draw accuracies with intervals, one line per method.

    Parameters
    ----------
    lines : sequence of Dot
        From top to bottom; values in [0, 1].
    xlabel : str
    highlight, baseline : str
        Names of the line that stands out, and of the one whose value is drawn through all of them.
    oracle : bool
        Draw hollow dots, for what is no honest result.

    Raises
    ------
    LongwayError
        If no line has a value.
    """
    known = [line for line in lines if not math.isnan(line.value)]
    if not known:
        raise LongwayError("lines has no value to draw")
    figure, axes = _axes(len(lines))
    for base in (line for line in known if line.name == baseline):
        axes.axvline(base.value, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    edge = max(max([line.high, line.value, *line.single]) for line in known)
    for place, line in enumerate(lines):
        if math.isnan(line.value):
            axes.annotate("no result", (edge, place), va="center", ha="right", fontsize=8.5, color=MUTED)
            continue
        colour = ACCENT if line.name == highlight else MUTED
        axes.plot(line.single, [place + 0.26] * len(line.single), "o", color=FAINT, markersize=2.6, zorder=2)
        axes.plot([line.low, line.high], [place] * 2, color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
        fill = "none" if oracle else colour
        (mark,) = axes.plot([line.value], [place], "o", color=colour, markerfacecolor=fill, markersize=6.5, zorder=4)
        tip(mark, _told(line, ".1%"))
        if not math.isnan(line.printed):
            axes.plot([line.printed], [place], "D", color=SERIES[1], markerfacecolor="none", markersize=6, zorder=4)
        _write(axes, f"{line.value:.1%}", max([line.high, line.value]), place, line.name == highlight)
    _finish(axes, [line.name for line in lines], xlabel, highlight)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.margins(x=0.09)
    return figure


def ranks(lines: Sequence[Dot], by_benchmark: Sequence[Mapping[str, float]], *, highlight: str = "") -> Figure:
    """Draw mean ranks with intervals, and the ranks on single benchmarks as small dots; 1 stands on the left.

    Parameters
    ----------
    lines : sequence of Dot
    by_benchmark : sequence of mapping of str to float
        Of each line.
    highlight : str
        Name of the line that stands out.
    """
    figure, axes = _axes(len(lines))
    for place, (line, ranks_) in enumerate(zip(lines, by_benchmark, strict=True)):
        colour = ACCENT if line.name == highlight else MUTED
        axes.plot(list(ranks_.values()), [place + 0.26] * len(ranks_), "o", color=FAINT, markersize=2.6, zorder=2)
        axes.plot([line.low, line.high], [place] * 2, color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
        (mark,) = axes.plot([line.value], [place], "o", color=colour, markersize=6.5, zorder=4)
        tip(mark, _told(line, ".2f"))
        _write(axes, f"{line.value:.1f}", max(line.high, line.value), place, line.name == highlight)
    _finish(axes, [line.name for line in lines], "mean rank over benchmarks, 1 the best", highlight)
    axes.set_xlim(0.7, len(lines) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(min(8, len(lines)), integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return figure


def _told(line: Dot, form: str) -> str:
    words = f"{line.name}\n{line.value:{form}}"
    if math.isfinite(line.low) and math.isfinite(line.high):
        words += f", 95 % interval {line.low:{form}} to {line.high:{form}}"
    if line.single:
        words += f"\n{len(line.single)} seeds: {min(line.single):{form}} to {max(line.single):{form}}"
    return words if math.isnan(line.printed) else f"{words}\npublished: {line.printed:{form}}"


def _axes(count: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, 0.75 + 0.31 * count), layout="constrained")
    return figure, figure.subplots()


def _write(axes: Axes, text: str, x: float, y: float, bold: bool) -> None:
    axes.annotate(
        text,
        (x, y),
        xytext=(7, -0.5),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        color=INK if bold else MUTED,
        fontweight="bold" if bold else 400,
    )


def _finish(axes: Axes, names: Sequence[str], xlabel: str, highlight: str) -> None:
    axes.set_yticks(range(len(names)), [_shorten(name, 34) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(_shorten(xlabel, 90), color=MUTED)
    _tidy(axes, grid="x")
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set(color=INK, fontweight="bold" if name == highlight else 400)
