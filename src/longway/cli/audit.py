"""`longway audit`: does a model take a shortcut, which one, and whom does it fail."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longway.cli._options import AsJson, Backbone, DataOptions, Device, Mean, Quiet, Size, Std, takes_data
from longway.utils.errors import LongwayError, nearest

if TYPE_CHECKING:
    from longway.auditing import Audit

LEVELS = {"suspicion": "suspicion", "strong": "strong evidence"}
MODEL, OUTPUT = "Model", "Output"


def optional_data(command: Callable[..., None]) -> Callable[..., None]:
    """Make DATA of a command that `takes_data` optional: other options may stand in its place."""
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
            help="What `longway fit` saved; it is audited on the part that its fit did not see.",
            show_default="an ordinary head is fitted here",
            rich_help_panel=MODEL,
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            "--predictions",
            metavar="COLUMN|FILE",
            help="What a model says: a column of DATA, a CSV of `longway predict`, or an npy file.",
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
    max_rows: Annotated[int, typer.Option("--max-rows", min=200, metavar="ROWS", help="Audited at most.")] = 10_000,
    max_skipped: Annotated[
        float, typer.Option("--max-skipped", min=0, max=1, metavar="SHARE", help="Images that may be unreadable.")
    ] = 0.01,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="NUMBER", help="Of all draws.")] = 0,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="LEVEL",
            help="Exit with 1 where the verdict is so grave: suspicion or strong.",
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
            help="Audit nothing: say what changed between two audits.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    backbone: Backbone = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask whether there is a shortcut, which one, and whom a model fails: no group labels needed."""
    _check(fail_on, model, predictions, compare, data.source, junit, sarif)
    if compare is not None:
        _compare(compare, out, fail_on, as_json)
        return
    from longway.cli import _audit, _printing

    view = _audit.Transform(backbone, size, mean, std, device, quiet)
    case = _audit.case(data, model, predictions, part, view)
    folder = out or _audit.FOLDER
    found = case.audit(folder, seed=seed, max_rows=max_rows, max_skipped=max_skipped, verbose=0 if quiet else 1)
    page = _audit.write(found, case, folder, junit, sarif)
    if as_json:
        _printing.data(found.to_dict())
    else:
        _audit.show(found)
        if case.drawn:
            _printing.say("This part was drawn at random, as in the fit. If the fit saw none of these data: --part all")
        _printing.say(f"Report with samples and pictures: {page}")
    _stop_on(found, fail_on)


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
    from longway.auditing import LEVELS as ORDER
    from longway.auditing._page_compare import changes_page
    from longway.auditing.compare import compare_audits, read_audit
    from longway.cli import _audit, _printing
    from longway.utils.storage import write_json

    before, after = (read_audit(path) for path in paths)
    changes = compare_audits(before, after)
    if out is not None:
        write_json(out / "changes.json", changes.to_dict())
        page = changes_page(changes).save(out / "changes.html")
    if as_json:
        _printing.data(changes.to_dict())
    else:
        _audit.show_changes(changes)
        if out is not None:
            _printing.say(f"Report: {page}")
    if fail_on is not None and ORDER.index(changes.level_after) >= ORDER.index(LEVELS[fail_on]):
        _stop(f"{changes.level_after} of a shortcut after the change")


def _stop_on(found: Audit, fail_on: str | None) -> None:
    from longway.auditing.ci import reaches

    if fail_on is not None and reaches(found, LEVELS[fail_on]):
        reasons = " ".join(found.verdict.reasons[:1])
        _stop(f"{found.verdict.level} of a shortcut: {reasons}")


def _stop(reason: str) -> None:
    """End with 1 and one line: the command did its work, and the answer is bad."""
    print(f"longway: {' '.join(reason.split())}", file=sys.stderr)
    raise typer.Exit(1)
