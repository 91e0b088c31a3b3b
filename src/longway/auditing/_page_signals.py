"""Lay out the tested signals, and a closer look at each candidate shortcut."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from longway.auditing.findings import Candidate, MitigationTrial, Reliance
from longway.auditing.result import Audit
from longway.report.blocks import (
    Block,
    Callout,
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
from longway.report.parts import DRAWN, MAX_ROWS, SORT, advice_blocks, distribution_blocks
from longway.report.samples import SIDE, Samples, walk
from longway.report.signals import Pair, Spot, pairs, plane
from longway.report.words import clip, interval, percent, points, three


def signal_blocks(candidates: Sequence[Candidate]) -> list[Block]:
    """Return drawings and a table of all candidates."""
    if not candidates:
        return [Text("No signal varies over the data: nothing could be tested.")]
    drawn = _effects(candidates) or _associations(candidates)
    return [*drawn, *_utility_and_detectability(candidates), _signal_table(candidates)]


def _effects(candidates: Sequence[Candidate]) -> list[Block]:
    """Draw the effects on a given model, the largest first; nothing without a model."""
    known = sorted(((each.effect, each) for each in candidates if each.effect), key=lambda pair: -pair[0].effect.value)
    drawn = [
        Pair(
            clip(each.name, 60),
            three(effect.effect),
            (effect.reference, math.nan, math.nan),
            f"right on {percent(effect.contradicting_accuracy.value)} of the {effect.contradicting:,} samples that "
            f"contradict it\non {percent(effect.aligned_accuracy.value)} of the others",
        )
        for effect, each in known[:DRAWN]
    ]
    if not drawn:
        return []
    least = min(min(line.first[1], line.second[0]) for line in drawn)
    names = ["the model", "an ordinary head"]
    figure = pairs(
        drawn, "change of the predictions within a class", names, highlight=[clip(candidates[0].name, 60)], form=".0%",
        limits=(min(math.floor(4 * least) / 4, 0), 1),
    )  # fmt: skip
    caption = (
        "Share of samples predicted as one class on one side of the signal minus that on the other, within each true "
        "class. Where the model changes more than the head, it takes the signal more than the labels support. Bars: "
        "95 % intervals. Point at a mark, or use the arrow keys."
    )
    return [Figure(figure, "Effect of each signal on the predictions, within classes", caption)]


def _associations(candidates: Sequence[Candidate]) -> list[Block]:
    drawn = [
        Pair(
            clip(each.name, 60),
            three(each.association.strength),
            note=f"one threshold on it is right in {percent(each.threshold_accuracy)}\n"
            f"{each.contradicting:,} samples contradict it",
        )
        for each in candidates[:DRAWN]
    ]
    if all(math.isnan(line.first[0]) for line in drawn):
        return []
    first = drawn[0].name
    drawn.sort(key=lambda line: -line.first[0])
    figure = pairs(drawn, "association with the label", ["association"], highlight=[first], form=".2f")
    caption = "The most suspicious in bold. Bars: 95 % intervals. Point at a mark, or use the arrow keys."
    return [Figure(figure, "Association of each signal with the label", caption)]


def _utility_and_detectability(candidates: Sequence[Candidate]) -> list[Block]:
    """Draw columns by how much they say of the label and how well the inputs show them."""
    spots = [
        Spot(clip(each.name, 60), three(each.association.strength), three(each.detectability))
        for each in candidates
        if each.detectability is not None
    ]
    if not spots:
        return []
    figure = plane(
        spots, "utility: association with the label", "detectability", highlight=[clip(candidates[0].name, 60)]
    )
    caption = (
        "Detectability: area under the curve with which a linear head reads the column from the inputs. A column at "
        "the upper right predicts the label and can be seen: a model can take it. One at the lower left is harmless."
    )
    return [Figure(figure, "Utility and detectability of each column", caption)]


def candidate_tab(each: Candidate, audit: Audit, samples: Samples, most: int) -> Tab:
    """Return what a person needs to judge a candidate: samples at its ends, its effect on the model, and advice."""
    tone: Tone = "bad" if each.contradicting == 0 or each.same_as_label else "neutral"
    blocks: list[Block] = [
        Text(clip(each.description, 400)),
        Callout(clip(each.statement, 600), tone=tone),
        KeyFigures(_key_figures(each)),
        *samples.blocks(["The lowest", "The highest"], [each.low, each.high], most),
    ]
    if each.traversal is not None and len(each.traversal):
        row = ImageRow("From low to high", np.stack(list(walk(each.traversal))), note="as a decoder draws it")
        blocks.append(ImageGrid([row], "Only this axis changes.", width=min(52, SIDE // 2)))
    blocks += distribution_blocks(each.values, audit.y, clip(each.name))
    if each.reliance is not None:
        blocks.append(_class_table(each.reliance))
    if each.mitigation_trial is not None:
        blocks.append(Text(_trial_words(each.mitigation_trial)))
    if each.unsure:
        words = "of the samples that seem to contradict it are probably misassigned; the fit below leaves them out."
        blocks.append(Text(f"{each.unsure:,} {words}"))
    return Tab(clip(each.name, 40), blocks + advice_blocks(each.command, each.python, "Treat it as a shortcut"))


def _key_figures(each: Candidate) -> list[KeyFigure]:
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


def _class_table(used: Reliance) -> Table:
    shuffled = used.shuffled_accuracy
    rows = [
        [clip(name), value, *([] if shuffled is None else [shuffled.get(name)])]
        for name, value in list(used.accuracy.items())[:MAX_ROWS]
    ]
    columns: list[Column | str] = ["Class", Column("Accuracy", format=".1%", bar=True)]
    if shuffled is not None:
        columns.append(Column("Shuffled", "With the signal shuffled within the class.", ".1%", bar=True))
    how = {
        "intervention": "Inputs were changed along the signal and the model was applied again.",
        "predictions": "Inputs could not be changed along the signal: only given predictions were used.",
    }[used.how]
    value, low, high = (points(each) for each in three(used.sensitivity))
    effect = f"One standard deviation of it moves the predicted probability by {value} points ({low} to {high})."
    return Table(columns, rows, f"{how} {effect}")


def _trial_words(trial: MitigationTrial) -> str:
    return (
        f"Quick trial: weighting the groups of this signal equally moves the worst group by {points(trial.gain.value)} "
        f"points ({points(trial.gain.low)} to {points(trial.gain.high)}), worst-group accuracy from "
        f"{percent(trial.worst_before.value)} to {percent(trial.worst_after.value)}, and average accuracy by "
        f"{points(-trial.average_cost)} points. The smallest group on the judging side holds "
        f"{trial.smallest_group:,} samples."
    )


def _signal_table(candidates: Sequence[Candidate]) -> Table:
    rows = [
        [
            clip(each.name),
            each.suspicion,
            *_reliance_cells(each.reliance),
            each.contradicting,
            None if each.effect is None else 100 * each.effect.effect.value,
            None if each.effect is None else 100 * each.effect.excess.value,
            each.association.strength.value,
            interval(each.association.strength, ".2f"),
            each.association.adjusted_p,
            None if each.detectability is None else each.detectability.value,
            each.threshold_accuracy,
            each.stability,
            each.unsure,
            each.source,
            each.same_as_label,
        ]
        for each in candidates
    ]
    # A column without a value in any row says nothing.
    shown = [k for k in range(len(_SIGNAL_COLUMNS)) if any(row[k] is not None for row in rows)]
    return Table(
        [_SIGNAL_COLUMNS[k] for k in shown], [[row[k] for k in shown] for row in rows], SORT, highlight_rows={0}
    )


def _reliance_cells(used: Reliance | None) -> list[float | None]:
    if used is None:
        return [None] * 4
    accuracies = [used.contradicting_accuracy.value, used.aligned_accuracy.value]
    return [*accuracies, 100 * used.sensitivity.value, used.flip_rate]


_SIGNAL_COLUMNS: tuple[Column | str, ...] = (
    "Signal",
    Column("Suspicion", "From 0 to 1: how much it behaves like a shortcut, of the model if one was given.", ".2f"),
    Column("Right, against", "Accuracy on samples that contradict it.", ".1%"),
    Column("Right, aligned", "Accuracy on the other samples.", ".1%"),
    Column("Sensitivity", "Points by which one standard deviation of it moves the predicted probability.", ".1f"),
    Column("Flips", "Predictions that change when it is swapped with a sample of another class.", ".1%"),
    Column("Contradicting", "Samples on the side that is unusual for their class."),
    Column("Effect", "Points by which the predictions change from its one side to the other, within classes.", ".0f"),
    Column("Excess", "The effect minus that on an ordinary head fitted to these data.", ".0f"),
    Column("Association", "With the label, from 0 (none) to 1; largest over classes.", ".2f"),
    Column("95 % interval", "Of the association."),
    Column("Adjusted p", "Of no association, corrected for the number of signals tested (Holm).", ".2g"),
    Column("Detectability", "Area under the curve with which a linear head reads the column from the inputs.", ".2f"),
    Column("One threshold", "Cross-validated balanced accuracy of one threshold on it.", ".1%", bar=True),
    Column("Stability", "Smallest association over folds, divided by the largest.", ".2f"),
    Column("Unsure", "Samples that are probably misassigned; a fit that treats it as a shortcut leaves them out."),
    "Kind",
    Column("Equals label", "It is the label under another name."),
)
