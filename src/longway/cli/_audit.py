"""What `longway audit` does before and after the audit itself."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longway.auditing import Audit, Candidate, audit
from longway.auditing._page_compare import headline
from longway.auditing.ci import to_junit, to_sarif
from longway.auditing.compare import AuditChanges, Change
from longway.auditing.group_export import write_sides
from longway.auditing.page import write_audit
from longway.backbones.preprocessing import prepare_inputs
from longway.cli import _models, _printing
from longway.cli._options import DataOptions, numbers
from longway.data import GroupedDataset
from longway.data.splits import PARTS, part_name
from longway.report.words import clip, interval, percent, points
from longway.utils.errors import LongwayError, nearest
from longway.utils.storage import atomic_file, write_json

SHOWN = 10
"""Lines of a table on the terminal."""
FOLDER = Path("longway-audit")
"""Where an audit is written, and looked for."""


class Transform(NamedTuple):
    """How inputs become features, as on the command line."""

    backbone: str | None
    size: int | None
    mean: str | None
    std: str | None
    device: str
    quiet: bool


@dataclass(frozen=True)
class Case:
    """What is to be audited.

    Parameters
    ----------
    data : GroupedDataset
        The rows: as the model takes them, or raw.
    raw : GroupedDataset
        The same rows with images or texts to look at.
    arguments : dict
        More of ``longway.audit``.
    options : DataOptions
    transform : Transform
    drawn : bool
        Whether the part was drawn at random.
    whole : bool
        Whether these are all rows, so that a fit finds its own among them.
    """

    data: GroupedDataset
    raw: GroupedDataset
    arguments: dict[str, Any]
    options: DataOptions
    transform: Transform
    drawn: bool = False
    whole: bool = True

    def audit(self, folder: Path, **settings: Any) -> Audit:
        """Run the audit; its commands get the options that name the data's columns and the audit's own folder."""
        found = audit(self.data, source=self.options.source, **self.arguments, **settings)
        found = _by_sides(found, folder) if self.whole else found
        return _completed(found, self.options, self.transform.backbone, self.raw.kind)

    @property
    def inputs(self) -> Any:
        """What to show samples of: images or texts; None for features."""
        return None if self.raw.kind == "features" else self.raw.X


def case(
    options: DataOptions, model: Path | None, predictions: str | None, part: str | None, transform: Transform
) -> Case:
    """Read what the command line names.

    Raises
    ------
    LongwayError
        It cannot be used; the message names the option.
    """
    if part is not None and part != "all" and part_name(part) is None:
        raise LongwayError(f"--part {part!r} is unknown; {nearest(part, (*PARTS, 'all'))}")
    if model is not None:
        return _of_model(options, model, part, transform)
    named = options.split or options.split_by or part not in (None, "all")
    raw = options.read() if named else options.read(split_by=None, fractions=None)
    raw = _models.labelled(raw)
    given = {}
    if predictions is not None:
        given["predictions"] = _predictions(predictions, raw)
    raw = without_columns(raw, [predictions, options.split])
    if part not in (None, "all"):
        where = np.flatnonzero(raw.split == part_name(str(part)))
        raw = raw.part(str(part))
        given = {name: values[where] for name, values in given.items()}
    if transform.backbone is not None:
        given["representation"] = _models.array(_embedded(raw, transform))
    return Case(raw, raw, given, options, transform, whole=part in (None, "all"))


def write(found: Audit, given: Case, folder: Path, junit: Path | None, sarif: Path | None) -> Path:
    """Write the report, the figures and what a test runner or a code scanner reads; return the page's place."""
    page = write_audit(found, folder, given.inputs)
    write_sides(found, np.asarray(given.data.ids), folder)
    if junit is not None:
        with atomic_file(junit, "w") as file:
            file.write(to_junit(found))
    if sarif is not None:
        write_json(sarif, to_sarif(found))
    return page


def show(found: Audit) -> None:
    """Print the verdict, the leading signals and the confirmed slices."""
    verdict, model = found.verdict, found.model
    _printing.say(
        f"{verdict.level.capitalize()} of a shortcut" + (f": {clip(verdict.signal)}" if verdict.signal else "")
    )
    for reason in verdict.reasons:
        _printing.say(f"  - {clip(reason, 600)}")
    accuracy = f"{percent(model.accuracy.value)} ({_plain(interval(model.accuracy))})"
    _printing.say(f"{model.name} ({model.kind}) on {found.n:,} rows: {accuracy}")
    _candidates(found)
    confirmed = [each for each in found.slices if each.confirmed]
    if confirmed:
        rows = [
            [
                clip(s.description, 70),
                f"{s.n:,}",
                percent(s.accuracy.value),
                _plain(interval(s.accuracy)),
                percent(s.rest_accuracy),
            ]
            for s in confirmed[:SHOWN]
        ]
        columns = ["Slice", "n", "Accuracy", "95 % interval", "Rest of class"]
        _printing.table(f"{len(confirmed)} slices that the model fails", columns, rows)
    for note in found.notes:
        _printing.say(f"Note: {clip(note, 400)}")
    if found.skipped:
        _printing.say(f"{len(found.skipped)} inputs could not be read, the first: {clip(found.skipped[0].reason, 300)}")
    if verdict.method:
        gain = verdict.expected_gain
        told = "" if gain is None else f" (trial: {_plain(points(gain.value))} points on the worst group)"
        _printing.say(f"To try{told}: {verdict.command or verdict.method}")


def show_changes(changes: AuditChanges) -> None:
    """Print what changed between two audits."""
    _printing.say(headline(changes))
    rows = [["accuracy", *_both(changes.accuracy)], ["worst class", *_both(changes.worst_class)]]
    lead = changes.leading
    if lead is not None:
        rows.append([f"against {clip(lead.name, 40)}", *_both(lead.contradicting_accuracy)])
    _printing.table("Accuracy", ["On", "Before", "After", "Points"], rows)
    moved = [each for each in changes.signals if each.times_less == each.times_less][:SHOWN]
    if moved:
        rows = [
            [
                clip(each.name or each.name_after, 50),
                f"{each.sensitivity.before:.3f}",
                f"{each.sensitivity.after:.3f}",
                f"{each.times_less:.1f}",
            ]
            for each in moved
        ]
        _printing.table("Reliance of the model", ["Signal", "Before", "After", "Times less"], rows)
    for each in changes.slices[:SHOWN]:
        _printing.say(f"{each.state}: {clip(each.description, 120)}")
    for note in changes.notes:
        _printing.say(f"Note: {note}")


def _candidates(found: Audit) -> None:
    rows = []
    for each in found.candidates[:SHOWN]:
        used = each.reliance
        rows.append(
            [
                clip(each.name, 50),
                f"{each.suspicion:.2f}",
                f"{each.association.strength.value:.2f}",
                percent(each.threshold_accuracy),
                f"{each.contradicting:,}",
                "-" if used is None else percent(used.aligned_accuracy.value),
                "-" if used is None else percent(used.contradicting_accuracy.value),
            ]
        )
    if rows:
        columns = ["Signal", "Suspicion", "Association", "One threshold", "Contradicting", "Right, aligned", "against"]
        _printing.table("Signals, the most suspicious first", columns, rows, 0 if found.verdict.signal else None)


def _both(change: Change) -> Sequence[str]:
    return percent(change.before), percent(change.after), _plain(points(change.difference))


def _plain(words: str) -> str:
    """Return words as terminals and those who search them expect: plain spaces and hyphens."""
    return words.replace("\N{NO-BREAK SPACE}", " ").replace("−", "-")


def _of_model(options: DataOptions, model: Path, part: str | None, transform: Transform) -> Case:
    for name, value in {"--size": transform.size, "--mean": transform.mean, "--std": transform.std}.items():
        if value is not None:
            raise LongwayError(f"{name} is the model's own: leave it out with --model")
    use = _models.loaded(model, options, part, transform.backbone, transform.device, transform.quiet)
    options = options.completed(use.about.get("data", {}))
    raw = use.data
    if use.data.kind == "features" and transform.backbone is not None:
        raw = options.read()
        raw = raw if use.part == "all" else raw.part(use.part)
    whole = use.part == "all"
    data = without_columns(use.data, [options.split])
    return Case(data, raw, {"model": use.model}, options, transform, use.drawn, whole)


def without_columns(data: GroupedDataset, names: Sequence[str | None]) -> GroupedDataset:
    """Return data whose table lacks columns that are no property of a sample, so that none is tested as a signal."""
    return data if data.table is None else replace(data, table=data.table.without([name for name in names if name]))


def _embedded(raw: GroupedDataset, transform: Transform) -> GroupedDataset:
    features, _ = prepare_inputs(
        raw,
        backbone=transform.backbone,
        size=transform.size,
        mean=numbers(transform.mean, "--mean"),
        std=numbers(transform.std, "--std"),
        device=transform.device,
        verbose=0 if transform.quiet else 1,
    )
    return features


def _predictions(name: str, raw: GroupedDataset) -> np.ndarray:
    """Return what a column of the data, or a file, says of each row."""
    if raw.table is not None and name in raw.table.columns:
        return raw.table.values(name, "--predictions", raw.source)
    path = Path(name)
    if not path.is_file():
        known = nearest(name, raw.table.columns) if raw.table is not None else "the data have no further columns"
        raise LongwayError(f"--predictions {name} is no file and no column of {raw.source}; {known}")
    found = _array(path) if path.suffix == ".npy" else _lines(path, raw)
    if len(found) != len(raw):
        raise LongwayError(
            f"--predictions {path} has {len(found)} rows, {raw.source} has {len(raw)}: give one for each"
        )
    return found


def _array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LongwayError(f"--predictions {path} is no npy file of plain numbers or texts: {error}") from error


def _lines(path: Path, raw: GroupedDataset) -> np.ndarray:
    """Read a CSV as `longway predict` writes it; its rows are put in the data's order by their ids."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise LongwayError(
            f"--predictions {path} is no CSV with a header, as `longway predict` writes: {error}"
        ) from error
    if "prediction" not in header:
        raise LongwayError(f"--predictions {path} has no column 'prediction'; it has {', '.join(header)[:200]}")
    if any(len(line) != len(header) for line in lines):
        raise LongwayError(f"--predictions {path} has lines of different lengths: write it again")
    if "id" in header:
        lines = _in_order(lines, header.index("id"), raw, path)
    shares = [place for place, column in enumerate(header) if column.startswith("p(")]
    if not shares:
        return np.array([line[header.index("prediction")] for line in lines])
    try:
        return np.array([[float(line[place]) for place in shares] for line in lines])
    except ValueError as error:
        raise LongwayError(f"--predictions {path} holds a probability that is no number: {error}") from error


def _in_order(lines: list[list[str]], place: int, raw: GroupedDataset, path: Path) -> list[list[str]]:
    where = {line[place]: line for line in lines}
    ids = [str(name) for name in raw.ids]
    if len(where) != len(lines):
        raise LongwayError(f"--predictions {path} names a row twice: give each id once")
    missing = [name for name in ids if name not in where]
    if missing:
        raise LongwayError(
            f"--predictions {path} lacks {len(missing)} rows of {raw.source}, the first {missing[0]!r}: "
            "predict them all"
        )
    return [where[name] for name in ids]


def _by_sides(found: Audit, folder: Path) -> Audit:
    """Let the commands for what is no column make groups of the very signal that they stand under."""

    def command(each: Candidate) -> str:
        if "--attribute" in each.command:
            return each.command
        words = ["longway", "fit", "subg", found.source, "--signal", each.name, "--use-groups", "train"]
        return shlex.join([*words, *([] if folder == FOLDER else ["--audit", str(folder)])])

    candidates = tuple(replace(each, command=command(each)) for each in found.candidates)
    verdict = found.verdict
    if verdict.command:
        first = next(each for each in candidates if each.name == verdict.signal)
        verdict = replace(verdict, command=first.command)
    return replace(found, verdict=verdict, candidates=candidates)


def data_words(options: DataOptions, backbone: str | None, kind: str) -> str:
    """Return the options that data were read with, as they are added to a command."""
    words: list[str] = []
    for option, value in {
        "--label": options.label,
        "--split": options.split,
        "--split-by": options.split_by,
        "--fractions": None if options.fractions == DataOptions.fractions else options.fractions,
        "--split-seed": str(options.split_seed) if options.split_seed else None,
        "--input": options.input,
        "--hf-config": options.hf_config,
        "--hf-split": options.hf_split,
        "--backbone": backbone or (None if kind == "features" else "FILE.py:FUNCTION"),
    }.items():
        for each in [value] if isinstance(value, str) else value or []:
            words += [option, each]
    return shlex.join(words)


def _completed(found: Audit, options: DataOptions, backbone: str | None, kind: str) -> Audit:
    """Add to the commands of an audit the options that its data were read with."""
    more = data_words(options, backbone, kind)

    def command(text: str) -> str:
        return f"{text} {more}" if text and more else text

    verdict = replace(found.verdict, command=command(found.verdict.command))
    candidates = tuple(replace(each, command=command(each.command)) for each in found.candidates)
    return replace(found, verdict=verdict, candidates=candidates)
