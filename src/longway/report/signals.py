"""Figures of signals and slices: pairs of estimates, and distributions over classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from longway.report.figures import WIDTH, _legend, _shorten, _tidy
from longway.report.theme import ACCENT, FAINT, INK, MUTED, SERIES, WORST
from longway.report.tips import tip
from longway.utils.errors import LongwayError

BINS = 24
"""Bars of a histogram."""
NAMED = 5
"""Marks of a plane that get their names."""
NOTHING = (math.nan, math.nan, math.nan)

Interval = tuple[float, float, float]
"""A value with its interval."""


class Pair(NamedTuple):
    """One line of a figure of pairs.

    Parameters
    ----------
    name : str
    first, second : (float, float, float)
        A value with the ends of its interval, NaN where there is none. The first is what matters.
    note : str
        Added to what the marks say.
    """

    name: str
    first: Interval
    second: Interval = NOTHING
    note: str = ""


def pairs(
    lines: Sequence[Pair],
    xlabel: str,
    names: Sequence[str],
    *,
    highlight: Sequence[str] = (),
    form: str = ".1%",
    limits: tuple[float, float] = (0, 1),
) -> Figure:
    """Draw one or two joined estimates per line, with intervals.

    Parameters
    ----------
    lines : sequence of Pair
        From top to bottom.
    xlabel : str
    names : sequence of str
        Of the first estimate and, where there is one, of the second.
    highlight : sequence of str
        Names of lines that stand out.
    form : str, default ".1%"
        Format specification of the numbers.
    limits : (float, float), default (0, 1)
        What the values lie between.

    Raises
    ------
    LongwayError
        No line has a value.
    """
    if all(math.isnan(line.first[0]) for line in lines):
        raise LongwayError("lines has no value to draw")
    figure = Figure(figsize=(WIDTH, (1.0 if len(names) > 1 else 0.75) + 0.33 * len(lines)), layout="constrained")
    axes = figure.subplots()
    colours = (WORST, SERIES[0]) if len(names) > 1 else (ACCENT,)
    for place, line in enumerate(lines):
        both = [each for each in (line.first, line.second)[: len(names)] if not math.isnan(each[0])]
        if len(both) == 2:
            axes.plot([both[0][0], both[1][0]], [place] * 2, color=FAINT, linewidth=1, zorder=1)
        for name, each, colour in reversed(list(zip(names, (line.first, line.second), colours, strict=False))):
            _estimate(axes, place, each, colour, f"{line.name}\n{name}: ", line.note, form)
        if not both:
            axes.annotate("not known", (sum(limits) / 2, place), va="center", ha="center", fontsize=8.5, color=MUTED)
    axes.set_yticks(range(len(lines)), [_shorten(line.name, 44) for line in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    low, high = limits
    axes.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if low < 0 < high:
        axes.axvline(0, color=MUTED, linewidth=0.8, zorder=0)
    if form.endswith("%"):
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel(_shorten(xlabel, 90), color=MUTED)
    _tidy(axes, grid="x")
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        label.set(color=INK, fontweight="bold" if line.name in highlight else 400)
    if len(names) > 1:
        fills = (WORST, "none")
        handles = [
            axes.plot([], [], "o", color=colour, markerfacecolor=fill, markersize=6.5)[0]
            for colour, fill in zip(colours, fills, strict=True)
        ]
        _legend(figure, handles, list(names))
    return figure


class Spot(NamedTuple):
    """One mark of a figure of two estimates: its name, two values with their intervals, and a note for its tip."""

    name: str
    x: Interval
    y: Interval
    note: str = ""


def plane(spots: Sequence[Spot], xlabel: str, ylabel: str, *, highlight: Sequence[str] = ()) -> Figure:
    """Draw signals by two estimates from 0 to 1, with intervals; the named ones and the outermost get their names.

    Parameters
    ----------
    spots : sequence of Spot
        The most important first.
    xlabel, ylabel : str
    highlight : sequence of str
        Names of marks that stand out.

    Raises
    ------
    LongwayError
        There is nothing to draw.
    """
    if not spots:
        raise LongwayError("spots is empty: there is nothing to draw")
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    named = _apart(spots, highlight)
    for each in reversed(spots):
        colour = WORST if each.name in highlight else ACCENT
        (x, left, right), (y, low, high) = each.x, each.y
        axes.plot([left, right], [y, y], color=colour, linewidth=1, alpha=0.5)
        axes.plot([x, x], [low, high], color=colour, linewidth=1, alpha=0.5)
        words = (
            f"{each.name}\n{xlabel}: {x:.2f} ({left:.2f} to {right:.2f})\n{ylabel}: {y:.2f} ({low:.2f} to {high:.2f})"
        )
        tip(axes.plot([x], [y], "o", color=colour, markersize=6.5)[0], f"{words}\n{each.note}".strip())
        if each in named:
            axes.annotate(
                _shorten(each.name, 30), (x, y), (6, 5), textcoords="offset points", fontsize=8.5, color=INK,
                ha="left" if x < 0.7 else "right",
            )  # fmt: skip
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(min(0.4, min(each.y[1] for each in spots) - 0.02), 1.02)
    axes.set_xlabel(_shorten(xlabel, 90), color=MUTED)
    axes.set_ylabel(_shorten(ylabel, 60), color=MUTED)
    _tidy(axes, grid="both")
    return figure


def _apart(spots: Sequence[Spot], highlight: Sequence[str]) -> list[Spot]:
    """Return the marks that get names: those that stand out, then the outermost, if names do not collide."""
    chosen: list[Spot] = []
    for each in sorted(spots, key=lambda each: (each.name not in highlight, -each.x[0] - each.y[0])):
        free = all(abs(each.x[0] - near.x[0]) > 0.25 or abs(each.y[0] - near.y[0]) > 0.05 for near in chosen)
        if free and len(chosen) < NAMED:
            chosen.append(each)
    return chosen


def distribution(
    values: npt.ArrayLike, labels: npt.ArrayLike, name: str, *, cut: float | None = None, most: int = 5
) -> Figure:
    """Draw the distribution of a signal within each class, one band per class.

    Parameters
    ----------
    values : array-like of shape (n,)
        Numbers; NaN is left out.
    labels : array-like of shape (n,)
        The class of each.
    name : str
        Of the signal.
    cut : float, optional
        Drawn through all bands.
    most : int, default 5
        Classes drawn, the largest first.

    Raises
    ------
    LongwayError
        There is no finite value, or another number of labels.
    """
    numbers, kinds = np.asarray(values, np.float64), np.asarray(labels).astype(str)
    if numbers.ndim != 1 or numbers.shape != kinds.shape or not np.isfinite(numbers).any():
        raise LongwayError(f"values has shape {numbers.shape}: give finite numbers, as many as the {len(kinds)} labels")
    known = np.isfinite(numbers)
    numbers, kinds = numbers[known], kinds[known]
    found, counts = np.unique(kinds, return_counts=True)
    classes = [str(found[k]) for k in np.argsort(-counts, kind="stable")[:most]]
    edges = _edges(numbers)
    figure = Figure(figsize=(WIDTH, 0.65 + 0.62 * len(classes)), layout="constrained")
    panels = figure.subplots(len(classes), 1, sharex=True, squeeze=False).ravel()
    for number, (axes, label) in enumerate(zip(panels, classes, strict=True)):
        _band(axes, numbers[kinds == label], edges, label, SERIES[number % len(SERIES)])
        if cut is not None:
            axes.axvline(cut, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    if len(distinct := np.unique(numbers)) <= 2:
        panels[-1].set_xticks(distinct, [f"{value:.3g}" for value in distinct])
    panels[-1].set_xlabel(_shorten(name, 90), color=MUTED)
    panels[-1].tick_params(labelbottom=True)
    return figure


def _estimate(axes: Axes, place: float, each: Interval, colour: str, told: str, note: str, form: str) -> None:
    value, low, high = each
    if math.isnan(value):
        return
    text = f"{told}{value:{form}}"
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [place] * 2, color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2)
        text += f", 95 % interval {low:{form}} to {high:{form}}"
    fill = "none" if colour == SERIES[0] else colour
    (mark,) = axes.plot([value], [place], "o", color=colour, markerfacecolor=fill, markersize=6.5, zorder=4)
    tip(mark, f"{text}\n{note}" if note else text)


def _edges(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the edges of bars over the bulk of the values, extremes in the outermost; one bar per value if few."""
    distinct = np.unique(numbers)
    if len(distinct) <= 2:
        middle = float(distinct.mean())
        reach = max(float(np.ptp(distinct)), 1.0) * 0.75
        return np.array([middle - reach, middle, middle + reach])
    low, high = np.quantile(numbers, [0.002, 0.998])
    if high <= low:
        low, high = float(distinct[0]), float(distinct[-1])
    return np.linspace(low, high, BINS + 1)


def _band(
    axes: Axes, numbers: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], label: str, colour: str
) -> None:
    counts = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)[0]
    shares = counts / max(1, len(numbers))
    widths = np.diff(edges) * 0.92
    bars = axes.bar((edges[:-1] + edges[1:]) / 2, shares, widths, color=colour)
    for bar, count, share, low, high in zip(bars, counts, shares, edges[:-1], edges[1:], strict=True):
        if count:
            where = f"{low:.3g} to {high:.3g}: ".replace("-", "−") if len(edges) > 3 else ""
            tip(bar, f"{label}\n{where}{count:,} samples, {share:.1%} of the class")
    axes.set_yticks([0], [_shorten(label, 24)])
    axes.set_ylim(0, max(float(shares.max()) * 1.12, 1e-9))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    _tidy(axes, grid=None)
    axes.tick_params(labelbottom=False)
    axes.spines["bottom"].set_visible(True)
    for tick in axes.get_yticklabels():
        tick.set(color=INK, va="bottom")
