"""What a report says of the signals that were tested, and of each that may be a shortcut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from longway.auditing.findings import Candidate, MitigationTrial, Reliance
from longway.auditing.result import Audit
from longway.report.blocks import (
    Block,
    Callout,
    Code,
    Column,
    Figure,
    ImageGrid,
    ImageRow,
    KeyFigure,
    KeyFigures,
    Tab,
    Table,
    Text,
    Tone,
)
from longway.report.samples import SIDE, Samples, walk
from longway.report.signals import Pair, distribution, pairs
from longway.report.words import clip, interval, percent, points, three

DRAWN = 14
"""Lines of a drawing."""


def signal_blocks(candidates: Sequence[Candidate]) -> list[Block]:
    """Return a drawing and a table of all candidates."""
    if not candidates:
        return [Text("No signal varies over the data: nothing could be tested.")]
    drawn = [
        Pair(
            clip(each.name, 60),
            three(each.association.strength),
            note=f"one threshold on it is right in {percent(each.threshold_accuracy)}\n"
            f"{each.contradicting:,} samples contradict it",
        )
        for each in candidates[:DRAWN]
    ]
    blocks: list[Block] = []
    if any(not math.isnan(line.first[0]) for line in drawn):
        figure = pairs(drawn, "association with the label", ["association"], highlight=[drawn[0].name], form=".2f")
        caption = "The most suspicious first. Bars: 95 % intervals. Point at a mark, or use the arrow keys."
        blocks.append(Figure(figure, "Association of each signal with the label", caption))
    return [*blocks, _signal_table(candidates)]


def candidate_tab(each: Candidate, audit: Audit, samples: Samples, most: int) -> Tab:
    """Return what a person needs to judge a candidate: its ends, what it changes, what the model does with it."""
    tone: Tone = "bad" if each.contradicting == 0 or each.same_as_label else "neutral"
    blocks: list[Block] = [Text(clip(each.description, 400)), Callout(clip(each.statement, 600), tone=tone)]
    if figures := _figures(each):
        blocks.append(KeyFigures(figures))
    blocks += samples.blocks(["The lowest", "The highest"], [each.low, each.high], most)
    if each.traversal is not None and len(each.traversal):
        pictures = list(walk(each.traversal))
        row = ImageRow("From low to high", np.stack(pictures), note="what a decoder makes of it")
        blocks.append(ImageGrid([row], "The axis is moved, everything else stays.", width=min(52, SIDE // 2)))
    if each.values is not None and audit.y is not None and np.isfinite(np.asarray(each.values, np.float64)).any():
        figure = distribution(each.values, audit.y, clip(each.name))
        caption = "Shares of each class, extremes in the outermost bars. Point at a bar, or use the arrow keys."
        blocks.append(Figure(figure, f"How {clip(each.name)} spreads over each class", caption))
    if each.reliance is not None:
        blocks.append(_by_class(each.reliance))
    if each.mitigation_trial is not None:
        blocks.append(Text(_trial_words(each.mitigation_trial)))
    if each.unsure:
        words = "of the samples that seem to contradict it are likely misread; what follows leaves them out."
        blocks.append(Text(f"{each.unsure:,} {words}"))
    if each.command:
        blocks.append(Code(clip(each.command, 2000), "Treat it as a shortcut"))
    if each.python:
        blocks.append(Code(clip(each.python, 2000), "In Python"))
    return Tab(clip(each.name, 40), blocks)


def _figures(each: Candidate) -> list[KeyFigure]:
    used = each.reliance
    strength = each.association.strength
    figures = [KeyFigure(f"{strength.value:.2f}", "association with the label", interval(strength, ".2f"))]
    if used is None:
        return figures
    for value, label in (
        (used.aligned_accuracy, "right on the usual side"),
        (used.contradicting_accuracy, "right where samples contradict it"),
    ):
        if not math.isnan(value.value):
            tone: Tone = "bad" if value.high < used.aligned_accuracy.low else "neutral"
            figures.append(KeyFigure(percent(value.value), label, interval(value), tone))
    if used.flip_rate is not None:
        figures.append(KeyFigure(percent(used.flip_rate), "of predictions flip", "swapped with another class"))
    return figures


def _by_class(used: Reliance) -> Table:
    shuffled = used.shuffled_accuracy
    rows = [
        [clip(name), value, *([] if shuffled is None else [shuffled.get(name)])]
        for name, value in list(used.accuracy.items())[:200]
    ]
    columns: list[Column | str] = ["Class", Column("Accuracy", format=".1%", bar=True)]
    if shuffled is not None:
        columns.append(Column("Shuffled", "When the signal is shuffled within the class.", ".1%", bar=True))
    how = {
        "intervention": "Inputs were changed along the signal and the model was asked again.",
        "predictions": "Inputs could not be changed along the signal: only given predictions were looked at.",
    }[used.how]
    moved = [points(value) for value in three(used.sensitivity)]
    moves = f"One deviation of it moves the predicted probability by {moved[0]} points ({moved[1]} to {moved[2]})."
    return Table(columns, rows, f"{how} {moves}")


def _trial_words(trial: MitigationTrial) -> str:
    return (
        f"Quick trial: balancing the groups that this signal makes moves the worst group by {points(trial.gain.value)} "
        f"points ({points(trial.gain.low)} to {points(trial.gain.high)}), so that the accuracy of whichever is worst "
        f"goes from {percent(trial.worst_before.value)} to {percent(trial.worst_after.value)}, and average accuracy by "
        f"{points(-trial.average_cost)} points. The smallest group on the judging side holds "
        f"{trial.smallest_group:,} samples."
    )


def _signal_table(candidates: Sequence[Candidate]) -> Table:
    rows: list[list[Any]] = []
    for each in candidates:
        used = each.reliance
        rows.append(
            [
                clip(each.name),
                each.suspicion,
                each.association.strength.value,
                interval(each.association.strength, ".2f"),
                each.association.adjusted_p,
                each.threshold_accuracy,
                each.stability,
                None if used is None else 100 * used.sensitivity.value,
                None if used is None else used.flip_rate,
                None if used is None else used.aligned_accuracy.value,
                None if used is None else used.contradicting_accuracy.value,
                each.contradicting,
                each.unsure,
                each.source,
                each.same_as_label,
            ]
        )
    return Table(_SIGNAL_COLUMNS, rows, "Select a heading to sort.", highlight_rows={0} if rows else ())


_SIGNAL_COLUMNS: tuple[Column | str, ...] = (
    "Signal",
    Column(
        "Suspicion", "From 0 to 1: how far it behaves like an attribute of its own that goes with the label.", ".2f"
    ),
    Column("Association", "With the label, from 0 (none) to 1; largest over classes.", ".2f"),
    Column("95 % interval", "Of the association."),
    Column("Adjusted p", "Of no association, corrected for all signals that were tested (Holm).", ".2g"),
    Column(
        "One threshold", "Balanced accuracy of what one threshold on it predicts, on other samples.", ".1%", bar=True
    ),
    Column("Stability", "Smallest association over folds, divided by the largest.", ".2f"),
    Column("Sensitivity", "Points by which the predicted probability moves with one deviation of it.", ".1f"),
    Column("Flips", "Predictions that change when it is swapped with a sample of another class.", ".1%"),
    Column("Right, aligned", "Accuracy on samples on the usual side of their class.", ".1%"),
    Column("Right, against", "Accuracy on samples that contradict it.", ".1%"),
    Column("Contradicting", "Samples on the side that is unusual for their class."),
    Column("Unsure", "Samples that are likely misread: what treats it as a shortcut leaves them out."),
    "Kind",
    Column("Equals label", "It is the label under another name."),
)
