"""Print an audit, and the differences between two audits."""

from __future__ import annotations

from collections.abc import Sequence

from longway.auditing import Audit, Candidate
from longway.auditing._page_compare import headline
from longway.auditing.compare import AuditChanges, Change
from longway.cli import _printing
from longway.report.words import clip, interval, percent, points

SHOWN = 10
"""Lines of a table on the terminal."""


def show_audit(found: Audit) -> None:
    """Print the verdict, the leading signals and the confirmed slices."""
    verdict, model = found.verdict, found.model
    signal = f": {clip(verdict.signal)}" if verdict.signal else ""
    _printing.say(f"{verdict.level.capitalize()} of a shortcut{signal}")
    for reason in verdict.reasons:
        _printing.say(f"  - {clip(reason, 600)}")
    accuracy = f"{percent(model.accuracy.value)} ({_plain(interval(model.accuracy))})"
    _printing.say(f"{model.name} ({model.kind}) on {found.n:,} samples: {accuracy}")
    if found.candidates:
        columns = ["Signal", "Suspicion", "Association", "One threshold", "Contradicting", "Right, aligned", "against"]
        rows = [_candidate_row(each) for each in found.candidates[:SHOWN]]
        _printing.table("Signals, the most suspicious first", columns, rows, 0 if verdict.signal else None)
    confirmed = [each for each in found.slices if each.confirmed]
    if confirmed:
        rows = [
            [
                clip(each.description, 70),
                f"{each.n:,}",
                percent(each.accuracy.value),
                _plain(interval(each.accuracy)),
                percent(each.rest_accuracy),
            ]
            for each in confirmed[:SHOWN]
        ]
        columns = ["Slice", "n", "Accuracy", "95 % interval", "Rest of class"]
        _printing.table(f"{len(confirmed)} slices that the model fails", columns, rows)
    show_notes(found.notes)
    if found.skipped:
        _printing.say(f"{len(found.skipped)} inputs could not be read, the first: {clip(found.skipped[0].reason, 300)}")
    if verdict.method:
        gain = verdict.expected_gain
        trial = "" if gain is None else f" (trial: {_plain(points(gain.value))} points on the worst group)"
        _printing.say(f"To try{trial}: {verdict.command or verdict.method}")


def show_changes(changes: AuditChanges) -> None:
    """Print the differences between two audits."""
    _printing.say(headline(changes))
    rows = [["accuracy", *_both(changes.accuracy)], ["worst class", *_both(changes.worst_class)]]
    lead = changes.leading
    if lead is not None:
        rows.append([f"against {clip(lead.name, 40)}", *_both(lead.contradicting_accuracy)])
    _printing.table("Accuracy", ["On", "Before", "After", "Points"], rows)
    known = [each for each in changes.signals if each.times_less == each.times_less][:SHOWN]
    if known:
        rows = [
            [
                clip(each.name or each.name_after, 50),
                f"{each.sensitivity.before:.3f}",
                f"{each.sensitivity.after:.3f}",
                f"{each.times_less:.1f}",
            ]
            for each in known
        ]
        _printing.table("Reliance of the model", ["Signal", "Before", "After", "Times less"], rows)
    for each in changes.slices[:SHOWN]:
        _printing.say(f"{each.state}: {clip(each.description, 120)}")
    show_notes(changes.notes)


def show_notes(notes: Sequence[str]) -> None:
    """Print notes, one a line."""
    for note in notes:
        _printing.say(f"Note: {clip(note, 400)}")


def _candidate_row(each: Candidate) -> list[str]:
    used = each.reliance
    accuracies = [] if used is None else [used.aligned_accuracy.value, used.contradicting_accuracy.value]
    return [
        clip(each.name, 50),
        f"{each.suspicion:.2f}",
        f"{each.association.strength.value:.2f}",
        percent(each.threshold_accuracy),
        f"{each.contradicting:,}",
        *(map(percent, accuracies) if accuracies else ["-", "-"]),
    ]


def _both(change: Change) -> Sequence[str]:
    return percent(change.before), percent(change.after), _plain(points(change.difference))


def _plain(words: str) -> str:
    """Return words with the plain spaces and hyphens that a terminal, and a search in its output, need."""
    return words.replace("\N{NO-BREAK SPACE}", " ").replace("−", "-")
