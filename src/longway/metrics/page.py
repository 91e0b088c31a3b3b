"""Report page of one model's accuracy by group."""

from __future__ import annotations

from collections.abc import Mapping

from longway.metrics.group_metrics import GroupMetrics, GroupResult
from longway.report.blocks import Column, Figure, KeyFigure, KeyFigures, Section, Table
from longway.report.figures import group_accuracy_bars
from longway.report.page import Page


def evaluation_page(metrics: GroupMetrics, title: str, facts: Mapping[str, str]) -> Page:
    """Lay out group and class accuracies, with labelled facts below the title."""
    figures = [
        KeyFigure(f"{metrics.average_accuracy:.1%}", "average accuracy", f"{metrics.n:,} samples"),
        KeyFigure(f"{metrics.worst_class_accuracy:.1%}", "worst class", metrics.worst_class),
    ]
    sections = [Section("By class", [_table(metrics.classes, "Class")])]
    if metrics.groups:
        figures.insert(1, KeyFigure(f"{metrics.worst_group_accuracy:.1%}", "worst group", metrics.worst_group, "bad"))
        bars = {"": {group.name: (group.accuracy, float("nan")) for group in metrics.groups if group.n}}
        picture = Figure(group_accuracy_bars(bars), "Accuracy of each group")
        sections.insert(0, Section("By group", [picture, _table(metrics.groups, "Group")]))
    return Page(title, sections=[Section("Summary", [KeyFigures(figures)]), *sections], facts=dict(facts))


def _table(results: tuple[GroupResult, ...], name: str) -> Table:
    rows = [
        [r.name, r.n, r.train_n, r.accuracy if r.n else None, "{:.1%} to {:.1%}".format(*r.interval)] for r in results
    ]
    columns: list[Column | str] = [
        name,
        "Samples",
        "Training samples",
        Column("Accuracy", format=".1%", bar=True),
        "95 % interval",
    ]
    if all(r.train_n is None for r in results):
        columns.pop(2)
        rows = [row[:2] + row[3:] for row in rows]
    return Table(columns, rows, "Wilson intervals. Select a heading to sort.")
