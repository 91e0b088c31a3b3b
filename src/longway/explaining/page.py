"""Lay out an explanation as a page: each step with real samples to look at."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from longway._version import __version__
from longway.explaining._heat_images import enlarged, overlay
from longway.explaining.result import ClassEdit, Direction, Edits, Explanation, Reliance
from longway.report.blocks import (
    Block,
    Callout,
    Column,
    Figure,
    ImageGrid,
    ImageRow,
    KeyFigure,
    KeyFigures,
    Section,
    Tab,
    Table,
    Tabs,
    Text,
)
from longway.report.figures import score_bars, training_curves, traversal_grid
from longway.report.images import shrink, to_pixels
from longway.report.page import Page
from longway.report.parts import (
    DRAWN,
    MAX_ROWS,
    SORT,
    advice_blocks,
    distribution_blocks,
    footer,
    notes,
    write_page,
)
from longway.report.samples import SIDE, Samples
from longway.report.signals import NOTHING, Pair, pairs
from longway.report.words import clip, interval, percent, three

ENDS = ("The lowest", "The highest")
MAX_NAMED = 12
"""Axes that a sentence names."""
CURVES = ("val_average", "val_worst_group", "val_worst_class")
"""Scores that are drawn over epochs."""

_AXES = (
    "The model's axes, the one most correlated with the label first. The ends may show a shortcut or the thing itself: "
    "no metric tells the two apart, a person can."
)
_HEAT = (
    "The evidence in each image for the model's prediction: Grad-CAM, or for generative classifiers each pixel's "
    "contribution to the likelihood. First the images on which the models disagree, then those that it gets wrong."
)
_RELIANCE = (
    "Difference of the log-odds between samples with and without an attribute, within classes, in standard deviations "
    "of the log-odds: 0 means that the model does not use it. The attributes with the largest decrease come first."
)
_EDITS = (
    "HSFM moves a few training samples, its support, until a head trained on them does well on hard samples. The edits "
    "point to what the head should weigh differently; its reliance says whether it weighs more or less."
)
_CURVES = (
    "Scores on the validation data of each fit. If these hold the shortcut too, a rising average does not tell a "
    "model that uses the core from one that uses the shortcut."
)


def write_explanation(found: Explanation, folder: str | os.PathLike[str], inputs: Any = None) -> Path:
    """Write the page, ``explanation.html``, and the record, ``explanation.json``, into a folder.

    Parameters
    ----------
    found : Explanation
    folder : path
        Created if absent; files of those names are replaced.
    inputs : sequence, optional
        As in `explanation_page`.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    LongwayError
        The folder cannot be written, or ``inputs`` are not those that were explained.
    """
    return write_page(explanation_page(found, inputs), found, folder, "explanation.html", "explanation.json")


def explanation_page(found: Explanation, inputs: Any = None) -> Page:
    """Lay out an explanation on one page.

    Parameters
    ----------
    found : Explanation
        From `longway.explain`.
    inputs : sequence, optional
        The images or texts behind features, one for each sample that was given: an array (n, c, h, w), a list of str,
        or the X of a data set.

    Returns
    -------
    Page

    Raises
    ------
    LongwayError
        ``inputs`` has another number of rows.
    """
    samples = Samples(found, inputs)
    most = int(found.settings["n_examples"])
    sections = [
        Section("In short", _summary(found)),
        Section("Axes", _axes(found, samples, most), _AXES),
        Section("Where it looks", _heat(found, samples), _HEAT),
        Section("What it relies on", _reliance(found.reliance), _RELIANCE),
        Section("What the edits mean", _edits(found, samples, most), _EDITS),
        Section("What it is surest of", _answers(found, samples, most)),
        Section("Over epochs", _curves(found), _CURVES),
    ]
    facts = {
        "Data": clip(PurePath(found.source).name or found.source, 60),
        "Model": found.method,
        "Samples": f"{found.n:,}" + (f" of the {found.part} part" if found.part else ""),
        "Version": __version__,
    }
    return Page(
        f"What {clip(found.name, 60)} uses",
        "Real samples at the ends of what the model sees, and its predictions for them.",
        [section for section in sections if section.blocks],
        facts,
        footer=footer("explain"),
    )


def _summary(found: Explanation) -> list[Block]:
    figures = [
        KeyFigure(percent(each.value), f"accuracy of {clip(name, 40)}", interval(each))
        for name, each in list(found.accuracy.items())[-3:]
    ]
    if found.axes:
        figures.append(KeyFigure(f"{found.axes[0].score:.2f}", "highest shortcut score", found.axes[0].name))
    figures += _left(found.reliance)
    return [KeyFigures(figures), *([notes(found.notes, 600)] if found.notes else [])]


def _left(found: Sequence[Reliance]) -> list[KeyFigure]:
    """Return the share of the first model's reliance on the leading attribute that the last model has left."""
    if not found or len(found[0].by_model) < 2:
        return []
    first, *_, last = found[0].by_model.values()
    name, note = clip(found[0].attribute, 40), f"compared with {clip(next(iter(found[0].by_model)), 40)}"
    if first.value == 0:
        return []
    if first.value * last.value < 0 and not last.low <= 0 <= last.high:
        return [KeyFigure("reversed", f"reliance on {name}: the model now leans the other way", note, "bad")]
    # An interval that holds 0 is no reversal, whatever the sign of its middle.
    return [KeyFigure(f"{max(last.value / first.value, 0.0):.0%}", f"of the reliance on {name} is left", note)]


def _axes(found: Explanation, samples: Samples, most: int) -> list[Block]:
    if not found.axes:
        return []
    names, scores = [each.name for each in found.axes], [each.score for each in found.axes]
    title = f"Shortcut score of each axis; {names[0]} leads with {scores[0]:.2f}"
    blocks: list[Block] = [
        Figure(score_bars(scores, names), title, "Shortcut score: correlation of each axis with the label.")
    ]
    traversals = [each.traversal for each in found.axes if each.traversal is not None]
    if len(traversals) == len(found.axes):
        pictures = np.clip(np.nan_to_num(np.stack(traversals)), 0, 1)
        if pictures.shape[-3] not in (1, 3):
            pictures = pictures[..., :1, :, :]  # only 1 or 3 channels can be drawn: the first stands for all
        caption = "Each row moves along one axis, from its 1st to its 99th percentile; the other axes are fixed."
        figure = traversal_grid(pictures, scores, names)
        blocks.append(Figure(figure, "Images decoded along each axis", caption))
    if found.method == "SITARHead":
        flat = ", ".join(f"axis {j}" for j in found.flat[:MAX_NAMED])
        flat += f" and {len(found.flat) - MAX_NAMED} more" if len(found.flat) > MAX_NAMED else ""
        words = f"The head is flat along {flat}." if flat else "The head is flat along no axis: it is an ordinary one."
        blocks.append(
            Callout(f"{words} To choose the axes of the shortcut yourself, look at their ends and name them.")
        )
    blocks.append(_axis_table(found.axes))
    return [*blocks, Tabs([_axis_tab(each, found, samples, most) for each in found.axes])]


def _axis_table(axes: Sequence[Direction]) -> Table:
    columns: list[Column | str] = [
        "Axis",
        Column("Shortcut score", "Correlation with the label, from 0 to 1, largest over classes.", ".2f", bar=True),
        Column("Effect", "Points by which one standard deviation along it moves the predicted probabilities.", ".1f"),
        Column("Flat", "Whether the head was made flat along it."),
    ]
    rows = [[each.name, each.score, 100 * each.effect, each.flat] for each in axes]
    if not any(each.flat for each in axes):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(columns, rows, SORT, highlight_rows={0})


def _axis_tab(each: Direction, found: Explanation, samples: Samples, most: int) -> Tab:
    advice = advice_blocks(each.command, each.python, "Treat it as a shortcut; several axes are listed with commas")
    return Tab(f"{each.name} · {each.score:.2f}", _ends(each, found, samples, most) + advice)


def _ends(
    each: Direction, found: Explanation, samples: Samples, most: int, name: str = "", titles: Sequence[str] = ENDS
) -> list[Block]:
    """Return the samples at both ends of a direction, and its distribution in the classes."""
    assert found.y is not None
    blocks = samples.blocks(titles, [each.low, each.high], most)
    return blocks + distribution_blocks(each.values, found.y[found.explained], name or clip(each.name))


def _heat(found: Explanation, samples: Samples) -> list[Block]:
    rows = []
    for each in found.heat:
        pictures = samples.pictures([each.example])
        assert pictures is not None
        image = pictures[0]
        drawn = [enlarged(image), *(overlay(image, heat) for heat in each.maps.values())]
        captions = ["the image", *(f"{clip(name, 24)}: {clip(label, 24)}" for name, label in each.predicted.items())]
        heading = clip(each.example.label, 24)
        rows.append(ImageRow(heading, np.stack(drawn), captions, note=clip(each.example.id, 32)))
    words = "Bright places are the strongest evidence. Grad-CAM is as coarse as the last convolution."
    return [ImageGrid(rows, words, width=112)] if rows else []


def _reliance(found: Sequence[Reliance]) -> list[Block]:
    if not found:
        return []
    names = list(found[0].by_model)
    shown = names if len(names) < 2 else [names[-1], names[0]]
    lines = [
        Pair(
            f"{clip(each.attribute, 50)} → {clip(each.label, 30)}",
            three(each.by_model[shown[0]]),
            three(each.by_model[shown[1]]) if len(shown) > 1 else NOTHING,
            f"{each.n:,} samples",
        )
        for each in found[:DRAWN]
    ]
    reach = max(abs(v) for line in lines for part in (line.first, line.second) for v in part if math.isfinite(v))
    edge = max(math.ceil(2 * reach) / 2, 0.5)
    figure = pairs(
        lines, "difference of log-odds, in standard deviations", [clip(name, 30) for name in shown], form=".2f",
        limits=(-edge, edge),
    )  # fmt: skip
    caption = "The arrow points to the class of the log-odds. Bars: 95 % intervals. Point at a mark."
    columns: list[Column | str] = ["Attribute", Column("Class", "Whose log-odds."), "Samples"]
    columns += [Column(clip(name, 40), "Difference in standard deviations.", ".2f") for name in names]
    columns += [Column(f"{clip(name, 40)}, raw", "Difference in units of the log-odds.", ".2f") for name in names]
    rows = [
        [clip(each.attribute), clip(each.label), each.n]
        + [each.by_model[name].value for name in names]
        + [each.logits[name] for name in names]
        for each in found[:MAX_ROWS]
    ]
    return [Figure(figure, "Reliance of the models on each attribute", caption), Table(columns, rows, SORT)]


def _edits(found: Explanation, samples: Samples, most: int) -> list[Block]:
    edits = found.edits
    if edits is None:
        return []
    figures = [
        KeyFigure(f"{edits.n}", "support samples"),
        KeyFigure(f"{edits.changed}", "have another nearest training sample after the edit"),
        *(
            KeyFigure(f"{each.moved:.0%}", f"of its length a sample of class {clip(each.label, 30)} moved")
            for each in edits.classes[:4]
        ),
    ]
    tabs = [
        Tab(f"class {clip(each.label, 40)}", _class_edit(each, found, edits, samples, most)) for each in edits.classes
    ]
    return [KeyFigures(figures), Tabs(tabs)]


def _class_edit(each: ClassEdit, found: Explanation, edits: Edits, samples: Samples, most: int) -> list[Block]:
    words = (
        f"Samples of class {clip(each.label, 40)} moved {'much' if each.agreement > 0.5 else 'little'} alike: the "
        f"length of their mean edit is {each.agreement:.0%} of the mean length."
    )
    blocks: list[Block] = [Text(words)]
    if each.alignment:
        columns: list[Column | str] = [
            "Attribute",
            Column("Cosine", "Between the mean edit and the attribute's difference within classes.", ".2f"),
            Column("AUROC", "Of separating the attribute by the position along the edit; 0.5 is chance.", ".2f"),
        ]
        rows = [[clip(a.attribute), a.cosine, a.auroc] for a in each.alignment[:MAX_ROWS]]
        words = "What the mean edit moves towards; negative numbers mean away from it."
        blocks.append(Table(columns, rows, words))
    shown = [place for place, n in enumerate(edits.neighbours) if n.label == each.label]
    own = [edits.neighbours[place] for place in shown]
    if own:
        blocks.append(Text("The samples that moved most, as real training samples:"))
        ends = {"Nearest before": [n.before for n in own], "Nearest after": [n.after for n in own]}
        if all(n.before.row == n.after.row for n in own):
            ends = {"Nearest, before and after": ends["Nearest before"]}
        ends["Moved towards"] = [n.towards for n in own]
        blocks += samples.blocks(list(ends), list(ends.values()), len(own))
    if edits.decoded is not None and shown:
        drawn = [
            ImageRow(title, np.stack([shrink(p, SIDE) for p in to_pixels(edits.decoded[shown, side], "decoder")]))
            for side, title in enumerate(("Before", "After"))
        ]
        blocks.append(ImageGrid(drawn, "The same samples as the decoder draws them.", width=SIDE // 2))
    blocks.append(Text("Real samples along the mean edit: it leads from the lowest to the highest."))
    return [*blocks, *_ends(each.along, found, samples, most)]


def _answers(found: Explanation, samples: Samples, most: int) -> list[Block]:
    tabs = []
    for each in found.answers:
        titles = [f"Farthest from class {clip(each.name, 30)}", f"Surest of class {clip(each.name, 30)}"]
        blocks = _ends(each, found, samples, most, f"Log-odds of class {clip(each.name, 60)}", titles)
        tabs.append(Tab(f"class {clip(each.name, 30)}", blocks))
    return list(tabs[0].blocks) if len(tabs) == 1 else [Tabs(tabs)] if tabs else []


def _curves(found: Explanation) -> list[Block]:
    known = [name for name in CURVES if any(name in record for curve in found.curves.values() for record in curve)]
    if not known or max(len(curve) for curve in found.curves.values()) < 2:
        return []
    figure = training_curves(found.curves, known)
    return [Figure(figure, "Validation scores of each model over epochs", "Point at a line for its values.")]
