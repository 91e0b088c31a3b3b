"""`longway audit`: find out if a model takes a shortcut, which one, and which samples it fails."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from longway.cli._options import (
    AsJson,
    Backbone,
    DataOptions,
    Device,
    EscapeFormulas,
    Mean,
    Quiet,
    Seed,
    Size,
    Std,
    takes_data,
)
from longway.utils.errors import LongwayError, nearest, one_line

LEVELS = {"suspicion": "suspicion", "strong": "strong evidence"}
MODEL, OUTPUT = "Model", "Output"


def optional_data(command: Callable[..., None]) -> Callable[..., None]:
    """Make DATA optional for a command that `takes_data`: other options may replace it."""
    signature = inspect.signature(command)
    changed = [p.replace(default="") if p.name == "source" else p for p in signature.parameters.values()]
    command.__signature__ = signature.replace(parameters=changed)  # type: ignore[attr-defined]
    return command


@optional_data
@takes_data
def audit(
    data: DataOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="For report.html and audit.json.",
            show_default="longway-audit",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="A file of `longway fit`; it is audited on the part that its fit did not see.",
            show_default="an ordinary head is fitted here",
            rich_help_panel=MODEL,
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            "--predictions",
            metavar="COLUMN|FILE",
            help="Predictions of a model: a column of DATA, a CSV of `longway predict`, or an npy file.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="NAME",
            help="train, val, test or all.",
            show_default="test with --model, where there is a split, else all",
        ),
    ] = None,
    max_rows: Annotated[
        int, typer.Option("--max-rows", min=200, metavar="ROWS", help="Samples audited, at most.")
    ] = 10_000,
    max_skipped: Annotated[
        float,
        typer.Option("--max-skipped", min=0, max=1, metavar="SHARE", help="Share of images that may be unreadable."),
    ] = 0.01,
    seed: Seed = 0,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="LEVEL",
            help="Exit with 1 if the verdict is at least this severe: suspicion or strong.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML too.", rich_help_panel=OUTPUT)
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="Write SARIF 2.1.0 too.", rich_help_panel=OUTPUT)
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--compare",
            metavar="BEFORE.json AFTER.json",
            help="Compare two audits instead of making one.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    backbone: Backbone = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    device: Device = "auto",
    escape_formulas: EscapeFormulas = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find out if there is a shortcut, which one, and which samples a model fails: no group labels needed."""
    _check(fail_on, model, predictions, compare, data.source, junit, sarif)
    if compare is not None:
        _compare(compare, out, fail_on, as_json)
        return
    from longway.cli import _printing
    from longway.cli._advice import AUDIT_FOLDER
    from longway.cli._audit_data import Encoding, read_audit_data
    from longway.cli._audit_printing import show_audit

    given = read_audit_data(data, model, predictions, part, Encoding(backbone, size, mean, std, device, quiet))
    folder = out or AUDIT_FOLDER
    found = given.audit(folder, seed=seed, max_rows=max_rows, max_skipped=max_skipped, verbose=0 if quiet else 1)
    page = given.write(found, folder, junit, sarif, escape_formulas)
    if as_json:
        _printing.data(found.to_dict())
    else:
        show_audit(found)
        if given.drawn:
            _printing.say("This part was drawn at random, as in the fit. If the fit saw none of these data: --part all")
        _printing.say(f"Report with samples and pictures: {page}")
    _fail(found.verdict.level, fail_on, f": {' '.join(found.verdict.reasons[:1])}")


def _check(
    fail_on: str | None,
    model: Path | None,
    predictions: str | None,
    compare: tuple[Path, Path] | None,
    source: str,
    junit: Path | None,
    sarif: Path | None,
) -> None:
    if fail_on is not None and fail_on not in LEVELS:
        raise LongwayError(f"--fail-on {fail_on!r} is unknown; {nearest(fail_on, LEVELS)}")
    if model is not None and predictions is not None:
        raise LongwayError("--model and --predictions were both given: choose one")
    if compare is None and not source:
        raise LongwayError("DATA is missing: name what to audit, or two audits with --compare")
    if compare is not None:
        given = {"DATA": source, "--model": model, "--predictions": predictions, "--junit": junit, "--sarif": sarif}
        for name, value in given.items():
            if value:
                raise LongwayError(f"--compare reads two audits and makes none: leave out {name}")


def _compare(paths: tuple[Path, Path], out: Path | None, fail_on: str | None, as_json: bool) -> None:
    from longway.auditing._page_compare import changes_page
    from longway.auditing.compare import compare_audits, read_audit
    from longway.cli import _printing
    from longway.cli._audit_printing import show_changes
    from longway.report.parts import write_page

    before, after = (read_audit(path) for path in paths)
    changes = compare_audits(before, after)
    if out is not None:
        page = write_page(changes_page(changes), changes, out, "changes.html", "changes.json")
    if as_json:
        _printing.data(changes.to_dict())
    else:
        show_changes(changes)
        if out is not None:
            _printing.say(f"Report: {page}")
    _fail(changes.level_after, fail_on, " after the change")


def _fail(verdict: str, fail_on: str | None, reason: str) -> None:
    """Exit with 1 and one line if the verdict is at least as severe as ``--fail-on``; the command itself succeeded."""
    from longway.auditing.ci import is_at_least

    if fail_on is not None and is_at_least(verdict, LEVELS[fail_on]):
        line = f"longway: {verdict} of a shortcut{reason}"
        print(one_line(line), file=sys.stderr)
        raise typer.Exit(1)
