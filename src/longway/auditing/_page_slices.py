"""Lay out slices: the model's accuracy on each, and samples that it gets wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence

from longway.auditing.findings import Slice
from longway.report.blocks import Block, Column, Figure, Tab, Table, Tabs, Text
from longway.report.parts import DRAWN, SORT
from longway.report.samples import Samples
from longway.report.signals import Pair, pairs
from longway.report.words import clip, interval, percent, three

DETAILED = 6
"""Slices that are shown with samples."""


def slice_blocks(slices: Sequence[Slice], samples: Samples, most: int) -> list[Block]:
    """Return a drawing, a table and at most this many samples of each confirmed slice."""
    if not slices:
        return [Text("No part of a class stood out on the first half, so none was put to the test on the second.")]
    confirmed = [each for each in slices if each.confirmed]
    drawn = [
        Pair(
            clip(each.description, 80),
            three(each.accuracy),
            (each.rest_accuracy, math.nan, math.nan),
            f"{each.n:,} samples, {each.share:.1%} of the class\nadjusted p {each.adjusted_p:.2g}",
        )
        for each in (confirmed or slices)[:DRAWN]
        if not math.isnan(each.accuracy.value)
    ]
    blocks: list[Block] = [Text(f"{len(slices)} put to the test, {len(confirmed)} confirmed.")]
    if drawn:
        figure = pairs(drawn, "accuracy", ["in the slice", "in the rest of its class"])
        caption = "Confirmed slices; bars: 95 % intervals." if confirmed else "None of these was confirmed."
        blocks.append(Figure(figure, "Accuracy of the model in each slice and in the rest of its class", caption))
    blocks.append(_slice_table(slices))
    tabs = [_slice_tab(number, each, samples, most) for number, each in enumerate(confirmed[:DETAILED], start=1)]
    tabs = [tab for tab in tabs if len(tab.blocks) > 1]
    return [*blocks, *([Tabs(tabs)] if tabs else [])]


def _slice_tab(number: int, each: Slice, samples: Samples, most: int) -> Tab:
    words = (
        f"{clip(each.description, 300)}: {percent(each.accuracy.value)} right of {each.n:,}, against "
        f"{percent(each.rest_accuracy)} in the rest of its class."
    )
    return Tab(f"Slice {number}", [Text(words), *samples.blocks(["Wrong here"], [each.examples], most)])


def _slice_table(slices: Sequence[Slice]) -> Table:
    rows = [
        [
            clip(each.description, 160),
            each.n,
            each.share,
            each.accuracy.value,
            interval(each.accuracy),
            each.rest_accuracy,
            each.adjusted_p,
            each.confirmed,
            each.found_by,
        ]
        for each in slices
    ]
    columns: list[Column | str] = [
        "Slice",
        Column("Samples", "On the half that tests."),
        Column("Of its class", format=".1%"),
        Column("Accuracy", format=".1%", bar=True),
        Column("95 % interval", "Of the accuracy (Wilson)."),
        Column("Rest of class", format=".1%"),
        Column("Adjusted p", "Of being no worse than the rest, corrected for the number of slices (Holm).", ".2g"),
        Column("Confirmed", "Whether chance is ruled out and the gap matters."),
        "Found by",
    ]
    confirmed = {number for number, each in enumerate(slices) if each.confirmed}
    return Table(columns, rows, SORT, highlight_rows=confirmed)
