"""The figures of Longway's reports, from plain data to matplotlib.

Colours come from `longway.report.theme`; `longway.report.svg` turns them into the page's own. No function
touches pyplot or any other global state, and every text of the user's is read literally.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from longway.report.images import TINY, shrink, to_pixels
from longway.report.theme import ACCENT, FAINT, INK, LINE, MUTED, SERIES, WORST
from longway.report.tips import tip
from longway.utils.errors import LongwayError

WIDTH = 6.2
"""Width of a figure in inches, 595 CSS pixels: most of the page's column, and legible when a phone scales it down."""

TIPS = 25
"""Points of a curve that have a tooltip."""

_FONT = 9.0
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))

Accuracies = Mapping[str, Mapping[str, tuple[float, float]]]


def group_accuracy_bars(methods: Accuracies) -> Figure:
    """Draw the accuracy of every group under every method, the worst group of each method marked.

    Parameters
    ----------
    methods : mapping of method to mapping of group to (mean, spread)
        Accuracies in [0, 1]. A NaN mean leaves the bar out, a NaN spread its whisker.

    Raises
    ------
    LongwayError
        If there is no group to draw.
    """
    groups = list(dict.fromkeys(group for results in methods.values() for group in results))
    if not groups:
        raise LongwayError("methods has no group accuracies to draw")
    few = len(groups) <= len(SERIES)
    step = len(groups) + 0.9
    inches = 0.21 if few else 0.11
    figure = Figure(figsize=(WIDTH, 0.9 + inches * step * len(methods)), layout="constrained")
    axes = figure.subplots()
    for position, (method, results) in enumerate(methods.items()):
        worst = min(
            (group for group in results if not math.isnan(results[group][0])),
            key=lambda group: results[group][0],
            default=None,
        )
        for place, group in enumerate(groups):
            if group in results and not math.isnan(results[group][0]):
                colour = SERIES[place] if few else WORST if group == worst else FAINT
                told = f"{method}\n{group}\n" if method else f"{group}\n"
                known = group == worst, few, group, told
                _bar(axes, position * step + place, results[group], colour, *known)
    centres = [position * step + (len(groups) - 1) / 2 for position in range(len(methods))]
    axes.set_yticks(centres, [_shorten(method, 26) for method in methods], color=INK, fontweight="bold")
    axes.set_ylim(len(methods) * step - 1.2, -0.7)
    axes.set_xlim(0, 1.19)
    axes.set_xticks(np.linspace(0, 1, 5))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _tidy(axes, grid="x")
    axes.spines["left"].set_visible(True)
    if few:
        handles = [axes.barh([0], [math.nan], color=SERIES[place]) for place in range(len(groups))]
        _legend(figure, handles, groups)
    return figure


def training_curves(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], metrics: Sequence[str] | None = None
) -> Figure:
    """Draw one panel per metric and one line per method, over epochs.

    Parameters
    ----------
    histories : mapping of method to records
        Each record holds ``epoch`` and metrics; gaps and NaN break the line.
    metrics : sequence of str, optional
        Which to draw, in this order; by default every number found in any record.

    Raises
    ------
    LongwayError
        If no record holds a metric, or one holds no epoch.
    """
    if any("epoch" not in record for records in histories.values() for record in records):
        raise LongwayError("histories has a record without 'epoch'")
    found = dict.fromkeys(
        name
        for records in histories.values()
        for record in records
        for name, value in record.items()
        if name != "epoch" and isinstance(value, Real) and not isinstance(value, bool)
    )
    chosen = list(found if metrics is None else metrics)
    if not chosen or not found:
        raise LongwayError("histories has no metrics to draw")
    columns = min(2, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    figure = Figure(figsize=(WIDTH, 0.45 + 2.15 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, metric in zip(panels, chosen, strict=False):
        _curves(axes, histories, metric)
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    figure.get_layout_engine().set(h_pad=0.09, wspace=0.06)  # type: ignore[union-attr, call-arg]
    handles = [panels[0].plot([], [], **_line_style(number))[0] for number in range(len(histories))]
    _legend(figure, handles, list(histories))
    return figure


def score_bars(
    scores: npt.ArrayLike,
    labels: Sequence[str] | None = None,
    *,
    highlight: int | None = None,
    xlabel: str = "Shortcut score",
) -> Figure:
    """Draw one bar per latent axis, by descending score, one of them highlighted.

    Parameters
    ----------
    scores : array-like of shape (k,)
    labels : sequence of str, optional
        One for each score; by default "axis 0" and so on.
    highlight : int, optional
        Position in ``scores`` of the bar to highlight; by default the highest score.
    xlabel : str

    Raises
    ------
    LongwayError
        If the scores are not a finite vector, or the labels not as many.
    """
    values, names, order = _ranked(scores, labels)
    chosen = _chosen(highlight, order)
    figure = Figure(figsize=(WIDTH, 0.75 + 0.25 * len(values)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(values))
    colours = [ACCENT if index == chosen else FAINT for index in order]
    for place, (index, bar) in enumerate(
        zip(order, axes.barh(places, values[order], height=0.68, color=colours), strict=True)
    ):
        tip(bar, f"{names[index]}\n{values[index]:.4g}".replace("-", "−"))
        axes.annotate(
            f"{values[index]:.2f}".replace("-", "−"),
            (values[index], place),
            xytext=(5 if values[index] >= 0 else -5, 0),
            textcoords="offset points",
            va="center",
            ha="left" if values[index] >= 0 else "right",
            fontsize=_FONT,
            color=INK if index == chosen else MUTED,
            fontweight="bold" if index == chosen else 400,
        )
    axes.set_yticks(places, [names[index] for index in order])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.margins(x=0.1)
    axes.set_xlabel(_shorten(xlabel, 80), color=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    _tidy(axes, grid="x")
    if values.min() < 0:
        axes.axvline(0, color=MUTED, linewidth=0.8)
    return figure


def traversal_grid(
    images: npt.ArrayLike,
    scores: npt.ArrayLike,
    labels: Sequence[str] | None = None,
    *,
    highlight: int | None = None,
    steps: Sequence[str] | None = None,
) -> Figure:
    """Draw the effect of each latent axis: one row per axis, by descending score, one column per step.

    Parameters
    ----------
    images : array-like of shape (axis, step, c, h, w) or (axis, step, h, w, c), c = 1 or 3
        Bytes, or floats in [0, 1].
    scores : array-like of shape (axis,)
    labels : sequence of str, optional
        One for each axis; by default "axis 0" and so on.
    highlight : int, optional
        Axis whose label stands out; by default the highest score.
    steps : sequence of str, optional
        Headings of the columns.

    Raises
    ------
    LongwayError
        If the images are not images, or the numbers of axes or steps differ.
    """
    array = np.asarray(images)
    values, names, order = _ranked(scores, labels)
    if array.ndim != 5 or len(array) != len(values):
        raise LongwayError(f"images has shape {array.shape}; it must be (axis, step, c, h, w) with {len(values)} axes")
    if steps is not None and len(steps) != array.shape[1]:
        raise LongwayError(f"steps has {len(steps)} headings for {array.shape[1]} columns")
    chosen = _chosen(highlight, order)
    sprite, height, width = _sprite(array[order])
    rows, columns = array.shape[:2]
    row_labels = [f"{names[index]} · {values[index]:.2f}".replace("-", "−") for index in order]
    # Places are set by hand, for square pixels at any length of label; wide scripts take twice the room.
    left, top = 0.1 + 0.077 * max(sum(1 + (char > "\u2e80") for char in label) for label in row_labels), 0.3
    cell = min(0.62, (WIDTH - left) / columns)
    wide, high = cell * columns, cell * rows * height / width
    figure = Figure(figsize=(left + wide, top + high))
    axes = figure.add_axes((left / (left + wide), 0, wide / (left + wide), high / (top + high)))
    axes.imshow(sprite, interpolation="none", aspect="auto")
    axes.set_yticks([(row + 0.5) * height - 0.5 for row in range(rows)], row_labels)
    headings = [_shorten(step, 8) for step in steps] if steps is not None else []
    axes.set_xticks([(column + 0.5) * width - 0.5 for column in range(len(headings))], headings)
    axes.xaxis.tick_top()
    _tidy(axes, grid=None)
    axes.spines["bottom"].set_visible(False)
    for index, label in zip(order, axes.get_yticklabels(), strict=True):
        label.set(color=INK if index == chosen else MUTED, fontweight="bold" if index == chosen else 400)
    return figure


def _bar(
    axes: Axes,
    place: float,
    result: tuple[float, float],
    colour: str,
    worst: bool,
    few: bool,
    group: str,
    told: str,
) -> None:
    mean, spread = result
    known = math.isfinite(spread) and spread > 0
    # The others pale, so that the eye finds the worst first.
    (bar,) = axes.barh([place], [mean], height=0.84, color=colour, alpha=1 if worst or not few else 0.5)
    tip(bar, f"{told}{mean:.1%}" + (f" ± {spread:.1%}" if known else "") + (", the lowest" if worst else ""))
    if known:
        axes.errorbar([mean], [place], xerr=[[min(spread, mean)], [spread]], color=INK, linewidth=1, capsize=0)
    if not (few or worst):
        return
    words = "" if not worst else "  worst" if few else f"  worst: {_shorten(group, 24)}"
    axes.annotate(
        f"{mean:.1%}{words}",
        (mean + (spread if known else 0), place),
        xytext=(5, -0.5),
        textcoords="offset points",
        va="center",
        fontsize=_FONT - 0.5,
        color=INK if worst else MUTED,
        fontweight="bold" if worst else 400,
    )


def _curves(axes: Axes, histories: Mapping[str, Sequence[Mapping[str, Any]]], metric: str) -> None:
    for number, (name, records) in enumerate(histories.items()):
        points = [(record["epoch"], record[metric]) for record in records if isinstance(record.get(metric), Real)]
        if points:
            epochs, values = zip(*points, strict=True)
            alone: dict[str, Any] = {"marker": "o", "markersize": 4} if len(points) == 1 else {}
            axes.plot(epochs, values, **_line_style(number), **alone)
            _tips_along(axes, points, name)
    axes.set_title(_shorten(metric.replace("_", " "), 40), loc="left", fontsize=_FONT + 1, fontweight="bold", color=INK)
    axes.set_xlabel("epoch", color=MUTED, fontsize=_FONT)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}".replace("-", "−")))
    _tidy(axes, grid="y")


def _tips_along(axes: Axes, points: Sequence[tuple[float, float]], name: str) -> None:
    """Lay transparent points with tooltips on a curve, few enough that the page stays small."""
    for epoch, value in points[:: max(1, math.ceil(len(points) / TIPS))]:
        if math.isfinite(value):
            (mark,) = axes.plot([epoch], [value], "o", color=INK, markersize=3, alpha=0)
            tip(mark, f"{name}\nepoch {epoch:g}: {value:.4g}".replace("-", "−"))


def _line_style(number: int) -> dict[str, Any]:
    # A second cue in addition to colour once the colours repeat.
    dash = _DASHES[number // len(SERIES) % len(_DASHES)]
    return {"color": SERIES[number % len(SERIES)], "linestyle": dash, "linewidth": 1.8}


def _legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    labels = [_shorten(name, 30) for name in names]
    widest = max(map(len, labels), default=1)
    legend = figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=max(1, min(len(labels), int(100 / (widest + 8)))),
        frameon=False,
        fontsize=_FONT,
        labelcolor=INK,
        handlelength=1.3,
        handleheight=0.9,
        borderpad=0,
        columnspacing=1.6,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _ranked(
    scores: npt.ArrayLike, labels: Sequence[str] | None
) -> tuple[npt.NDArray[np.float64], list[str], npt.NDArray[np.intp]]:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise LongwayError("scores must be a vector of finite numbers, at least one")
    if labels is not None and len(labels) != len(values):
        raise LongwayError(f"labels has {len(labels)} entries for {len(values)} scores")
    names = [f"axis {index}" for index in range(len(values))] if labels is None else labels
    return values, [_shorten(name, 34) for name in names], np.argsort(-values, kind="stable")


def _chosen(highlight: int | None, order: npt.NDArray[np.intp]) -> int:
    if highlight is not None and not 0 <= highlight < len(order):
        raise LongwayError(f"highlight is {highlight} but there are {len(order)} scores, numbered from 0")
    return int(order[0]) if highlight is None else highlight


def _sprite(images: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], int, int]:
    """Join images (rows, columns, ...) into one RGBA picture with transparent gaps; return it and its cell size."""
    rows, columns = images.shape[:2]
    pixels = to_pixels(images.reshape(rows * columns, *images.shape[2:]))
    small = np.stack([shrink(image, TINY) for image in pixels])
    h, w = small.shape[1:3]
    # Enlarged a little first, so that a gap can be thinner than a pixel of a tiny image.
    factor = max(1, 64 // max(h, w))
    small = small.repeat(factor, axis=1).repeat(factor, axis=2)
    gap = max(2, small.shape[2] // 16)
    cells = np.zeros((rows * columns, small.shape[1] + gap, small.shape[2] + gap, 4), dtype=np.uint8)
    cells[:, : -gap or None, : -gap or None, :3] = small
    cells[:, : -gap or None, : -gap or None, 3] = 255
    height, width = cells.shape[1:3]
    sprite = cells.reshape(rows, columns, height, width, 4).swapaxes(1, 2).reshape(rows * height, columns * width, 4)
    return sprite, height, width


def _shorten(text: str, length: int) -> str:
    """Return the text on one line, truncated to a length, and always encodable."""
    line = " ".join(str(text).encode("utf-8", errors="replace").decode("utf-8").split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _tidy(axes: Axes, grid: str | None) -> None:
    """Remove frame and tick marks, and keep a light grid along one direction."""
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set(visible=side == "bottom" and grid == "y", color=FAINT, linewidth=0.8)
    axes.tick_params(length=0, labelsize=_FONT, labelcolor=MUTED, pad=5)
    for label in axes.get_yticklabels() if grid == "x" else []:
        label.set_color(INK)
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.title]:
        label.set_parse_math(False)
    axes.set_axisbelow(True)
    if grid is not None:
        axes.grid(axis=grid, color=LINE, linewidth=0.8)  # type: ignore[arg-type]
