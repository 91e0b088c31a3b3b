"""Lay out an audit as a page: the verdict first, then the evidence, each step with samples to look at."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePath
from typing import Any

from longway._version import __version__
from longway.auditing._page_signals import candidate_tab, signal_blocks
from longway.auditing._page_slices import slice_blocks
from longway.auditing.result import Audit
from longway.methods import METHODS
from longway.report.blocks import (
    Block,
    Bullets,
    Callout,
    Column,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Tabs,
    Text,
    Tone,
)
from longway.report.page import Page
from longway.report.parts import MAX_ROWS, SORT, advice_blocks, footer, notes, write_page
from longway.report.samples import Samples
from longway.report.words import clip, interval, percent, points

DETAILED = 6
"""Candidates that are shown with samples."""
EXAMPLES = 6
"""Samples in a row."""

TITLES = {
    "no evidence": "No evidence of a shortcut",
    "suspicion": "A suspicion of a shortcut",
    "strong evidence": "Strong evidence of a shortcut",
}
_SIGNALS = (
    "Everything that was tested as a shortcut: axes of the data, metadata columns, words. A signal associated with the "
    "label may be the very thing that the label means, so the most suspicious are those that samples contradict."
)
_DETAILS = (
    "The most suspicious signals, each with the samples at its ends. Whether they show a shortcut or the thing itself "
    "is for a person to say; the line below each treats it as a shortcut."
)
_SLICES = (
    "Parts of a class that the model gets wrong more often than the rest of it: found on one half of the data and "
    "tested on the other, to rule out chance."
)


def write_audit(audit: Audit, folder: str | os.PathLike[str], inputs: Any = None) -> Path:
    """Write the page, ``report.html``, and the record, ``audit.json``, into a folder.

    Parameters
    ----------
    audit : Audit
    folder : path
        Created if absent; files of those names are replaced.
    inputs : sequence, optional
        As in `audit_page`.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    LongwayError
        The folder cannot be written, or ``inputs`` are not those that were audited.
    """
    return write_page(audit_page(audit, inputs), audit, folder, "report.html", "audit.json")


def audit_page(audit: Audit, inputs: Any = None) -> Page:
    """Lay out an audit on one page.

    Parameters
    ----------
    audit : Audit
        From `longway.audit`.
    inputs : sequence, optional
        The audited images or texts as they were given, to show samples: an array (n, c, h, w), a list of str, or the X
        of a data set. Without it, images are as small as the audit saw them, and texts are shown by row number.

    Returns
    -------
    Page
        ``.save(path)`` writes it as one HTML file of less than 10 MB.

    Raises
    ------
    LongwayError
        ``inputs`` has another number of rows than the audited data.

    Examples
    --------
    >>> import longway
    >>> from longway.datasets import make_planted_shortcut
    >>> drawn = make_planted_shortcut(400, correlation=0.9)
    >>> page = audit_page(longway.audit(drawn.X, drawn.y))
    >>> [section.title for section in page.sections][:2]
    ['Verdict', 'Signals']
    """
    samples = Samples(audit, inputs)
    tabs = [candidate_tab(each, audit, samples, EXAMPLES) for each in audit.candidates[:DETAILED]]
    sections = [
        Section("Verdict", _verdict(audit)),
        Section("Signals", signal_blocks(audit.candidates), _SIGNALS),
        *([Section("A closer look", [Tabs(tabs)], _DETAILS)] if tabs else []),
        Section("Whom it fails", slice_blocks(audit.slices, samples, EXAMPLES), _SLICES),
        Section("The model", _model(audit)),
        Section("Data and settings", _data(audit)),
    ]
    n = f"{audit.n:,}" if audit.n == audit.n_given else f"{audit.n:,} of {audit.n_given:,}"
    facts = {
        "Data": clip(audit.source),
        "Audited": f"{n} {audit.kind if audit.kind != 'features' else 'samples'}",
        "Model": clip(f"{audit.model.name} ({audit.model.kind})"),
        "Took": f"{audit.seconds:.0f} s",
        "Version": __version__,
    }
    subtitle = "Does a model take a shortcut here, which one, and whom does it fail? No group label was used."
    name = clip(PurePath(audit.source).name or "data", 60)
    return Page(f"Audit of {name}", subtitle, sections, facts, footer("audit"))


def _verdict(audit: Audit) -> list[Block]:
    verdict = audit.verdict
    reasons = [clip(reason, 600) for reason in verdict.reasons]
    tone: Tone = "bad" if verdict.level == "strong evidence" else "neutral"
    blocks: list[Block] = [
        Callout(reasons[0] if reasons else "", TITLES[verdict.level], tone),
        KeyFigures(_key_figures(audit)),
    ]
    if reasons[1:]:
        blocks.append(Bullets(reasons[1:]))
    if verdict.method:
        cls = METHODS.get(verdict.method)
        name = verdict.method if cls is None else cls.__name__
        blocks.append(Text(f"To try: {name}, because {clip(verdict.method_reason, 400)}."))
    return blocks + advice_blocks(verdict.command, "", "Command")


def _key_figures(audit: Audit) -> list[KeyFigure]:
    verdict = audit.verdict
    own = audit.model.accuracy
    figures = [
        KeyFigure(f"{verdict.score:.2f}", "suspicion, from 0 to 1", clip(verdict.signal, 40)),
        KeyFigure(percent(own.value), "accuracy of the model", interval(own)),
    ]
    first = next((each for each in audit.candidates if each.name == verdict.signal), None)
    if first is not None and first.reliance is not None:
        contradicting, aligned = first.reliance.contradicting_accuracy, first.reliance.aligned_accuracy
        tone: Tone = "bad" if contradicting.high < aligned.low else "neutral"
        value = percent(contradicting.value)
        figures.append(KeyFigure(value, "where samples contradict it", interval(contradicting), tone))
    gain = verdict.expected_gain
    if gain is not None and not math.isnan(gain.value):
        note = f"of the worst group in a quick trial, {points(gain.low)} to {points(gain.high)}"
        figures.append(KeyFigure(points(gain.value), "points to gain", note, "good" if gain.low > 0 else "neutral"))
    return figures


def _model(audit: Audit) -> list[Block]:
    words = {
        "fitted here": "No model was given: an ordinary classifier was fitted, and judged on samples it did not see.",
        "model": "The model was applied to every audited sample. It looks better than it is on its training data.",
        "predictions": "Only predictions were given: the model could not be applied to changed inputs.",
    }[audit.model.kind]
    rows = [
        [clip(name), audit.classes.get(name), each.value, interval(each)]
        for name, each in list(audit.model.by_class.items())[:MAX_ROWS]
    ]
    columns: list[Column | str] = ["Class", "Samples", Column("Accuracy", format=".1%", bar=True), "95 % interval"]
    return [Text(words), Table(columns, rows, f"Wilson intervals. {SORT}")]


def _data(audit: Audit) -> list[Block]:
    blocks: list[Block] = []
    if audit.notes:
        blocks += [Text("Notes on these data:"), notes(audit.notes)]
    if audit.skipped:
        rows = [[each.row, clip(each.id), clip(each.reason, 300)] for each in audit.skipped[:MAX_ROWS]]
        words = f"{len(audit.skipped):,} inputs could not be read and were skipped."
        blocks.append(Table(["Row", "Name", "Why"], rows, words))
    blocks += [Text("This audit assumes:"), notes(audit.assumptions)]
    if audit.columns:
        names = ", ".join(clip(name, 40) for name in audit.columns[:MAX_ROWS])
        more = f" and {len(audit.columns) - MAX_ROWS:,} more" if len(audit.columns) > MAX_ROWS else ""
        blocks.append(Text(f"Columns tested: {names}{more}."))
    settings = [[clip(name), clip(value, 200)] for name, value in list(audit.settings.items())[:MAX_ROWS]]
    return [*blocks, Table(["Setting", "Value"], settings)] if settings else blocks
