"""The report of an explanation: what a model uses, each step with real samples to look at."""

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
    Bullets,
    Callout,
    Code,
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
from longway.report.samples import SIDE, Samples
from longway.report.signals import NOTHING, Pair, distribution, pairs
from longway.report.words import clip, interval, percent, three
from longway.utils.storage import write_json

ENDS = ("The lowest", "The highest")
DRAWN = 14
"""Lines of a drawing."""
NAMED = 12
"""Axes that a sentence names."""
ROWS = 200
"""Rows of a table, and entries of a list."""
CURVES = ("val_average", "val_worst_group", "val_worst_class")
"""Scores that are drawn over epochs, where there are any."""

_AXES = (
    "The axes that the model sees, the one that tells the label most first. What its ends show may be a shortcut or "
    "the thing itself: no figure tells the two apart, a person can."
)
_HEAT = (
    "The places that speak for what each model says of an image: by Grad-CAM, or of generative classifiers by what "
    "each pixel adds to the likelihood. First the images about which the models disagree, then those that this one "
    "gets wrong."
)
_RELIANCE = (
    "By how much the log-odds differ between samples with and without an attribute, within classes, in deviations of "
    "the log-odds: 0 means that the model does not tell them apart. What was given up most comes first."
)
_EDITS = (
    "HSFM moves a few training rows, its support, until a head that is trained on them does well on hard samples. They "
    "move along what the head is to weigh otherwise; whether it weighs more or less, its reliance says."
)
_CURVES = (
    "Scores on the validation data of each fit. Where these hold the shortcut too, a rising average does not tell a "
    "model that reads the core from one that reads the shortcut."
)


def write_explanation(found: Explanation, folder: str | os.PathLike[str], inputs: Any = None) -> Path:
    """Write the page, ``explanation.html``, and all figures, ``explanation.json``, into a folder.

    Parameters
    ----------
    found : Explanation
    folder : path
        Made if absent; files of those names are replaced.
    inputs : sequence, optional
        As in `explanation_page`.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    LongwayError
        The folder cannot be written, or ``inputs`` are others than those that were explained.
    """
    page = explanation_page(found, inputs)
    target = Path(folder)
    write_json(target / "explanation.json", found.to_dict())
    return page.save(target / "explanation.html")


def explanation_page(found: Explanation, inputs: Any = None) -> Page:
    """Lay out an explanation on one page.

    Parameters
    ----------
    found : Explanation
        From `longway.explain`.
    inputs : sequence, optional
        The images or texts behind features, one for each row that was given, to show samples of them: an array
        (n, c, h, w), a list of str, or the X of a data set.

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
    parts = {
        "In short": _short(found),
        "Axes": _axes(found, samples, most),
        "Where it looks": _heat(found, samples),
        "What it relies on": _reliance(found.reliance),
        "What the edits mean": [] if found.edits is None else _edits(found, found.edits, samples, most),
        "What it is surest of": _answers(found, samples, most),
        "Over epochs": _curves(found),
    }
    leads = {"Axes": _AXES, "Where it looks": _HEAT, "What it relies on": _RELIANCE, "What the edits mean": _EDITS,
             "Over epochs": _CURVES}  # fmt: skip
    facts = {
        "Data": clip(PurePath(found.source).name or found.source, 60),
        "Model": found.method,
        "Samples": f"{found.n:,}" + (f" of the {found.part} part" if found.part else ""),
        "Version": __version__,
    }
    return Page(
        f"What {clip(found.name, 60)} uses",
        "Real samples at the ends of what the model sees, and what it makes of them.",
        [Section(title, blocks, leads.get(title, "")) for title, blocks in parts.items() if blocks],
        facts,
        footer=f"Made by longway explain, version {__version__}. This file loads nothing from the network.",
    )


def _short(found: Explanation) -> list[Block]:
    figures = [
        KeyFigure(percent(each.value), f"accuracy of {clip(name, 40)}", interval(each))
        for name, each in list(found.accuracy.items())[-3:]
    ]
    if found.axes:
        figures.append(KeyFigure(f"{found.axes[0].score:.2f}", "highest shortcut score", found.axes[0].name))
    if found.reliance and len(found.reliance[0].by_model) > 1:
        first, *_, last = (abs(each.value) for each in found.reliance[0].by_model.values())
        label = f"of the reliance on {clip(found.reliance[0].attribute, 40)} is left"
        if first > 0:
            note = f"beside {clip(next(iter(found.reliance[0].by_model)), 40)}"
            figures.append(KeyFigure(f"{last / first:.0%}", label, note))
    blocks: list[Block] = [KeyFigures(figures)]
    if found.notes:
        blocks.append(Bullets([clip(note, 600) for note in found.notes[:ROWS]]))
    return blocks


def _axes(found: Explanation, samples: Samples, most: int) -> list[Block]:
    if not found.axes:
        return []
    names, scores = [each.name for each in found.axes], [each.score for each in found.axes]
    top = f"Shortcut score of each axis; {names[0]} leads with {scores[0]:.2f}"
    blocks: list[Block] = [
        Figure(score_bars(scores, names), top, "Shortcut score: correlation of each axis with the label.")
    ]
    walks = [each.traversal for each in found.axes]
    if all(walk is not None for walk in walks):
        pictures = np.clip(np.nan_to_num(np.stack([walk for walk in walks if walk is not None])), 0, 1)
        caption = "Each row walks along one axis, from its 1st to its 99th percentile; the other axes stay."
        figure = traversal_grid(_drawable(pictures), scores, names)
        blocks.append(Figure(figure, "Images decoded along each axis", caption))
    if found.method == "SITARHead":
        flat = ", ".join(f"axis {j}" for j in found.flat[:NAMED])
        flat += f" and {len(found.flat) - NAMED} more" if len(found.flat) > NAMED else ""
        words = f"The head is flat along {flat}." if flat else "The head is flat along no axis: it is an ordinary one."
        more = "Which axes are the shortcut is for a person to say: look at their ends, then name them."
        blocks.append(Callout(f"{words} {more}"))
    blocks.append(_axis_table(found.axes))
    return [*blocks, Tabs([_axis_tab(each, found, samples, most) for each in found.axes])]


def _drawable(pictures: np.ndarray) -> np.ndarray:
    """Return pictures (..., c, h, w) of 1 or 3 channels; of other numbers the first stands for all."""
    return pictures if pictures.shape[-3] in (1, 3) else pictures[..., :1, :, :]


def _axis_table(axes: Sequence[Direction]) -> Table:
    columns: list[Column | str] = [
        "Axis",
        Column("Shortcut score", "Correlation with the label, from 0 to 1, largest over classes.", ".2f", bar=True),
        Column("Effect", "By how much one deviation along it moves the predicted probabilities, in points.", ".1f"),
        Column("Flat", "Whether the head was made flat along it."),
    ]
    rows = [[each.name, each.score, 100 * each.effect, each.flat] for each in axes]
    if not any(each.flat for each in axes):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(columns, rows, "Select a heading to sort.", highlight_rows={0})


def _axis_tab(each: Direction, found: Explanation, samples: Samples, most: int) -> Tab:
    blocks = _ends(each, found, samples, most)
    if each.command:
        blocks.append(Code(clip(each.command, 2000), "Treat it as a shortcut; several axes are listed with commas"))
    if each.python:
        blocks.append(Code(clip(each.python, 2000), "In Python"))
    return Tab(f"{each.name} · {each.score:.2f}", blocks)


def _ends(
    each: Direction, found: Explanation, samples: Samples, most: int, name: str = "", titles: Sequence[str] = ENDS
) -> list[Block]:
    """Return the samples at both ends of a direction, and how it spreads over the classes."""
    name = name or clip(each.name)
    blocks = samples.blocks(titles, [each.low, each.high], most)
    if each.values is not None and np.isfinite(each.values).any():
        assert found.y is not None
        figure = distribution(each.values, found.y[found.looked_at], name)
        blocks.append(Figure(figure, f"How {name} spreads over each class", f"{name}: shares of each class."))
    return blocks


def _heat(found: Explanation, samples: Samples) -> list[Block]:
    rows = []
    for each in found.heat:
        pictures = samples.pictures([each.example])
        assert pictures is not None
        image = pictures[0]
        large = [enlarged(image), *(overlay(image, heat) for heat in each.maps.values())]
        captions = ["the image", *(f"{clip(name, 24)}: {clip(said, 24)}" for name, said in each.predicted.items())]
        heading = clip(each.example.label, 24)
        rows.append(ImageRow(heading, np.stack(large), captions, note=clip(each.example.id, 32)))
    return (
        [
            ImageGrid(
                rows,
                "Bright places speak most for what the model says. Grad-CAM is as coarse as the last convolution.",
                width=112,
            )
        ]
        if rows
        else []
    )


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
        lines, "difference of log-odds, in deviations", [clip(name, 30) for name in shown], form=".2f",
        limits=(-edge, edge),
    )  # fmt: skip
    caption = "The arrow names the class that the log-odds are for. Bars: 95 % intervals. Point at a mark."
    columns: list[Column | str] = ["Attribute", Column("Class", "Whose log-odds."), "Samples"]
    columns += [Column(clip(name, 40), "Difference in deviations.", ".2f") for name in names]
    columns += [Column(f"{clip(name, 40)}, raw", "Difference in units of the log-odds.", ".2f") for name in names]
    rows = [
        [clip(each.attribute), clip(each.label), each.n]
        + [each.by_model[name].value for name in names]
        + [each.logits[name] for name in names]
        for each in found[:ROWS]
    ]
    drawing = Figure(figure, "Reliance of the models on each attribute", caption)
    return [drawing, Table(columns, rows, "Select a heading to sort.")]


def _edits(found: Explanation, edits: Edits, samples: Samples, most: int) -> list[Block]:
    figures = [
        KeyFigure(f"{edits.n}", "support rows"),
        KeyFigure(f"{edits.changed}", "have another nearest training sample after the edit"),
        *(
            KeyFigure(f"{each.moved:.0%}", f"of its length a row of class {clip(each.label, 30)} moved")
            for each in edits.classes[:4]
        ),
    ]
    tabs = [
        Tab(f"class {clip(each.label, 40)}", _class_edit(each, found, edits, samples, most)) for each in edits.classes
    ]
    return [KeyFigures(figures), Tabs(tabs)]


def _class_edit(each: ClassEdit, found: Explanation, edits: Edits, samples: Samples, most: int) -> list[Block]:
    words = (
        f"Rows of class {clip(each.label, 40)} moved {'much' if each.agreement > 0.5 else 'little'} alike: their mean "
        f"edit is {each.agreement:.0%} as long as an edit is on average."
    )
    blocks: list[Block] = [Text(words)]
    if each.alignment:
        columns: list[Column | str] = [
            "Attribute",
            Column("Cosine", "Of the mean edit and what the attribute changes within classes.", ".2f"),
            Column("AUROC", "Of telling the attribute from where samples lie along the edit; 0.5 is chance.", ".2f"),
        ]
        rows = [[clip(a.attribute), a.cosine, a.auroc] for a in each.alignment[:ROWS]]
        blocks.append(Table(columns, rows, "What the mean edit goes towards, or away from where numbers are negative."))
    shown = [place for place, n in enumerate(edits.neighbours) if n.label == each.label]
    own = [edits.neighbours[place] for place in shown]
    if own:
        blocks.append(Text("The rows that moved most, as real training samples:"))
        ends = {"Nearest before": [n.before for n in own], "Nearest after": [n.after for n in own]}
        if all(n.before.row == n.after.row for n in own):
            ends = {"Nearest, before and after": ends["Nearest before"]}
        ends["Moved towards"] = [n.towards for n in own]
        blocks += samples.blocks(list(ends), list(ends.values()), len(own))
    if edits.decoded is not None and shown:
        rows_ = [
            ImageRow(title, np.stack([shrink(p, SIDE) for p in to_pixels(edits.decoded[shown, side], "decoder")]))
            for side, title in enumerate(("Before", "After"))
        ]
        blocks.append(ImageGrid(rows_, "The same rows as the decoder draws them.", width=SIDE // 2))
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
