"""Lay out the differences between two audits as a page."""

from __future__ import annotations

import math

from longway._version import __version__
from longway.auditing.compare import AuditChanges, Change, SignalChange
from longway.auditing.result import LEVELS
from longway.report.blocks import (
    Block,
    Bullets,
    Callout,
    Column,
    Figure,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Text,
    Tone,
)
from longway.report.page import Page
from longway.report.parts import DRAWN, MAX_ROWS, SORT, footer
from longway.report.signals import Pair, pairs
from longway.report.words import clip, percent, points


def changes_page(changes: AuditChanges) -> Page:
    """Lay out the differences between two audits on one page.

    Parameters
    ----------
    changes : AuditChanges
        From `longway.auditing.compare.compare_audits`.

    Returns
    -------
    Page
        ``.save(path)`` writes it as one HTML file.
    """
    sections = [
        Section("Summary", _summary(changes)),
        Section("Signals", _signals(changes), "The model's reliance on each signal, before and after."),
        Section("Slices", _slices(changes), "Slices that either audit confirmed."),
        Section("Accuracy", [_classes(changes)]),
    ]
    facts = {
        "Before": clip(f"{changes.model_before} on {changes.source_before}"),
        "After": clip(f"{changes.model_after} on {changes.source_after}"),
        "Version": __version__,
    }
    return Page("Before and after", "The differences between two audits.", sections, facts, footer("audit"))


def headline(changes: AuditChanges) -> str:
    """Return the main difference in one or two sentences."""
    words = f"Verdict: {changes.level_before} before, {changes.level_after} after."
    if not changes.same_samples:
        words = f"The two audits are of different samples: metrics may differ for that reason alone. {words}"
    lead = changes.leading
    if lead is None or math.isnan(lead.times_less):
        return words
    name = clip(lead.name, 60)
    if lead.reversed:
        return f"{words} The model now leans the other way on {name!r}."
    if lead.times_less >= 1:
        return f"{words} The model relies on {name!r} {lead.times_less:.1f} times less."
    return f"{words} The model relies on {name!r} {1 / max(lead.times_less, 1e-9):.1f} times as much."


def _summary(changes: AuditChanges) -> list[Block]:
    before, after = (LEVELS.index(level) for level in (changes.level_before, changes.level_after))
    tone: Tone = "good" if after < before else "bad" if after > before else "neutral"
    figures = [_key_figure(changes.accuracy, "accuracy"), _key_figure(changes.worst_class, "worst class")]
    lead = changes.leading
    if lead is not None:
        figures.append(_key_figure(lead.contradicting_accuracy, "where samples contradict it", clip(lead.name, 40)))
        if lead.reversed:
            note = f"{_small(lead.sensitivity.before)} before, {_small(lead.sensitivity.after)} after"
            figures.append(KeyFigure("reversed", "reliance on it", note, "bad"))
        elif not math.isnan(lead.times_less):
            note = f"{_small(lead.sensitivity.before)} before, {_small(lead.sensitivity.after)} after"
            figures.append(KeyFigure(f"{lead.times_less:.1f} ×", "less reliance on it", note))
    blocks: list[Block] = [Callout(headline(changes), "Summary of changes", tone), KeyFigures(figures)]
    return [*blocks, *([Bullets(changes.notes)] if changes.notes else [])]


def _key_figure(change: Change, label: str, note: str = "") -> KeyFigure:
    words = f"{percent(change.before)} before, {points(change.difference)} points"
    tone: Tone = "good" if change.difference > 0.02 else "bad" if change.difference < -0.02 else "neutral"
    return KeyFigure(percent(change.after), label, f"{words}{'; ' if note else ''}{note}", tone)


def _signals(changes: AuditChanges) -> list[Block]:
    drawn = [
        Pair(
            clip(_name(each), 60),
            (each.contradicting_accuracy.after, math.nan, math.nan),
            (each.contradicting_accuracy.before, math.nan, math.nan),
        )
        for each in changes.signals
        if not math.isnan(each.contradicting_accuracy.after + each.contradicting_accuracy.before)
    ][:DRAWN]
    blocks: list[Block] = []
    if drawn:
        figure = pairs(drawn, "accuracy on samples that contradict the signal", ["after", "before"])
        blocks.append(Figure(figure, "Accuracy on contradicting samples, before and after"))
    rows = [
        [
            clip(_name(each)),
            each.sensitivity.before,
            each.sensitivity.after,
            each.times_less,
            each.contradicting_accuracy.before,
            each.contradicting_accuracy.after,
            each.flip_rate.before,
            each.flip_rate.after,
            each.suspicion.before,
            each.suspicion.after,
            {"values": "its values", "name": "its name"}.get(each.matched_by, "one audit only"),
        ]
        for each in changes.signals
    ]
    columns: list[Column | str] = [
        "Signal",
        Column("Sensitivity before", "Change of the predicted probability with one standard deviation of it.", ".3f"),
        Column("Sensitivity after", format=".3f"),
        Column("Times less", "Absolute sensitivity before, divided by that after.", ".1f"),
        Column("Right against, before", "Accuracy on samples that contradict it.", ".1%"),
        Column("Right against, after", format=".1%"),
        Column("Flips before", "Predictions that change when it is swapped with another class.", ".1%"),
        Column("Flips after", format=".1%"),
        Column("Suspicion before", format=".2f"),
        Column("Suspicion after", format=".2f"),
        Column("Matched by", "How the signals of the two audits were matched."),
    ]
    return [*blocks, Table(columns, rows, SORT)] if rows else [Text("There are no signals.")]


def _name(each: SignalChange) -> str:
    if each.name and each.name_after and each.name != each.name_after:
        return f"{each.name} (then {each.name_after})"
    return each.name or each.name_after


def _slices(changes: AuditChanges) -> list[Block]:
    if not changes.slices:
        return [Text("Neither audit confirmed a slice.")]
    rows = [
        [clip(each.description, 160), each.state, each.accuracy.before, each.accuracy.after] for each in changes.slices
    ]
    columns: list[Column | str] = ["Slice", "State", Column("Before", format=".1%"), Column("After", format=".1%")]
    words = "A slice that is no longer found did not stand out in the second audit, or was not confirmed there."
    return [Table(columns, rows, words)]


def _classes(changes: AuditChanges) -> Table:
    rows = [
        [clip(name), each.before, each.after, 100 * each.difference]
        for name, each in list(changes.by_class.items())[:MAX_ROWS]
    ]
    columns: list[Column | str] = ["Class", Column("Before", format=".1%"), Column("After", format=".1%")]
    return Table([*columns, Column("Points", format="+.1f")], rows)


def _small(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")
