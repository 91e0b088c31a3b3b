"""`longway bench`: comparing methods under a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longway.cli import catalogue
from longway.cli._options import AsJson, Quiet, assignments
from longway.utils.errors import LongwayError, printable

if TYPE_CHECKING:
    from longway.bench.engine import Engine
    from longway.bench.output import Comparison
    from longway.bench.plan import Plan

app = typer.Typer(
    name="bench",
    help="Compare methods: many seeds, equal budgets, a protocol that is written down, tables with intervals.",
    epilog="Start with `longway bench list`, then `longway bench run digits -m erm -m rwg --seeds 3`.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
app.command("list")(catalogue.list_)
app.command("card")(catalogue.card)

FORMATS = ("text", "markdown", "latex", "csv", "json")
DATA, COMPARISON, MACHINE = "Your own data", "Comparison", "Machine"

Jobs = Annotated[
    int, typer.Option("--jobs", "-j", metavar="NUMBER", help="Processes; -1 is one per core.", rich_help_panel=MACHINE)
]
Backend = Annotated[
    str,
    typer.Option(
        "--backend", metavar="NAME", help="loky (processes here), sequential or ray.", rich_help_panel=MACHINE
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDRESS", help="Of the Ray cluster.", rich_help_panel=MACHINE),
]
GpuShare = Annotated[
    float,
    typer.Option("--gpu-share", metavar="NUMBER", help="Part of a GPU that a trial takes.", rich_help_panel=MACHINE),
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", min=1, metavar="NUMBER", show_default="3 or the plan's", rich_help_panel=COMPARISON),
]
BenchmarkOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="Of the benchmark or of reading your data; may be repeated. erm_features=true gives heads the features of"
        " an ERM network.",
        rich_help_panel=COMPARISON,
    ),
]
Parameter = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A parameter of all methods that have it; may be repeated.",
        rich_help_panel=COMPARISON,
    ),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="FOLDER", help="For the results; the same folder goes on where it was.")
]
AllowChanges = Annotated[
    bool, typer.Option("--allow-changes", help="Mix results of other versions or raw data into this folder.")
]
Retry = Annotated[bool, typer.Option("--retry", help="Run trials again that ended with an error.")]
Track = Annotated[
    list[str] | None,
    typer.Option("--track", metavar="NAME", help="Also log to mlflow or tensorboard; may be repeated."),
]


@app.command("run")
def run_command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="PLAN.toml|BENCHMARK|DATA",
            help="A plan, a benchmark of `longway bench list`, or data as `longway fit` reads them.",
            show_default=False,
        ),
    ],
    out: Out = Path("longway-bench"),
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            metavar="NAME[:SETTING]",
            help="A method, with a published setting if you like; may be repeated.",
            show_default="all",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    seeds: Seeds = None,
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            min=1,
            metavar="NUMBER",
            help="Settings tried per method, the defaults first.",
            show_default="1 or the plan's",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            "--search",
            metavar="NAME",
            help="How they are found: random or optuna.",
            show_default="random or the plan's",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            "--groups",
            metavar="NAME",
            help="Group labels: none, infer, val or train; a protocol for each that is named.",
            show_default="none",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option(
            "--selection",
            metavar="RULE",
            help="What selects: worst_group, worst_class, balanced, average or own.",
            show_default="worst_group where groups are known",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            "--validation",
            metavar="NAME",
            help="as_train or balanced.",
            show_default="as_train",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    option: BenchmarkOption = None,
    set_: Parameter = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="NAME", show_default="the first method", rich_help_panel=COMPARISON),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", "-y", metavar="COLUMN", help="To predict.", rich_help_panel=DATA)
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", "-a", metavar="COLUMN", help="Spurious attribute.", rich_help_panel=DATA),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="COLUMN", help="Names the groups.", rich_help_panel=DATA)
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="COLUMN", help="Says train, val, test.", rich_help_panel=DATA)
    ] = None,
    split_by: Annotated[
        str | None,
        typer.Option("--split-by", metavar="COLUMN", help="No value of it is in two parts.", rich_help_panel=DATA),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", metavar="ENCODER", help="Embeds images, texts.", rich_help_panel=DATA),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", min=4, metavar="PIXELS", help="Side that images get.", rich_help_panel=DATA),
    ] = None,
    jobs: Jobs = -1,
    backend: Backend = "loky",
    address: Address = None,
    gpu_share: GpuShare = 1.0,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="NAME", help="cpu or cuda.", show_default="cpu or the plan's", rich_help_panel=MACHINE
        ),
    ] = None,
    track: Track = None,
    allow_changes: AllowChanges = False,
    retry: Retry = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run methods x seeds x settings x protocols; interrupted, the same command goes on where it was."""
    from longway.bench.engine import Engine
    from longway.bench.overrides import overridden
    from longway.bench.plan import load_record, read_plan

    data = {"label": label, "attribute": attribute, "group": group, "split": split, "split_by": split_by}
    data = _given({**data, "backbone": backbone, "size": size})
    protocol = _given({"selection": selection, "validation": validation})
    options, parameters = assignments(option or [], "--option"), assignments(set_ or [], "--set")
    if target.endswith(".toml"):
        record = load_record(target)
        for name in _given({"method": method, "groups": groups, **protocol, **data}):
            raise LongwayError(f"--{name.replace('_', '-')} belongs in the plan: write it into {target}")
    else:
        record = {
            "benchmark": [_benchmark(target, data)],
            "method": _methods(method),
            "protocol": [{"groups": each, **protocol} for each in groups or ["none"]],
            "seeds": 3,
        }
    record |= _given({"seeds": seeds, "draws": draws, "search": search, "baseline": baseline, "device": device})
    plan = read_plan(overridden(record, options, parameters), target)
    engine = Engine(jobs, backend, address, gpu_share, 0 if quiet else 1)
    _run(plan, out, engine, track or [], allow_changes, retry, as_json)


@app.command("table")
def table_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `bench run` wrote.", show_default=False)],
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="NAME", help="text, markdown, latex, csv or json.")
    ] = "text",
) -> None:
    """Print the table of a result folder again."""
    from longway.bench.output import read_comparison
    from longway.utils.errors import nearest

    if format_ not in FORMATS:
        raise LongwayError(f"--format {format_!r} is unknown; {nearest(format_, FORMATS)}")
    _print(read_comparison(folder), format_)


@app.command("reproduce")
def reproduce_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as sitar-cmnist.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", show_default="longway-reproduce-NAME")
    ] = None,
    seeds: Seeds = None,
    option: BenchmarkOption = None,
    set_: Parameter = None,
    jobs: Jobs = -1,
    backend: Backend = "loky",
    address: Address = None,
    gpu_share: GpuShare = 1.0,
    device: Annotated[str, typer.Option("--device", metavar="NAME", rich_help_panel=MACHINE)] = "cpu",
    allow_changes: AllowChanges = False,
    retry: Retry = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run the rows of a published table that this machine can run, and compare our numbers with theirs, and list the
    differences.

    Where the whole table would take too long, --option n_train=5000, --set epochs=10, for example, make it smaller.
    """
    from longway.bench.engine import Engine
    from longway.bench.published import reproduction

    options, parameters = assignments(option or [], "--option"), assignments(set_ or [], "--set")
    plan = reproduction(name, options, parameters, device=device, **_given({"seeds": seeds}))
    engine = Engine(jobs, backend, address, gpu_share, 0 if quiet else 1)
    _run(plan, out or Path(f"longway-reproduce-{name}"), engine, [], allow_changes, retry, as_json, printed=name)


def _run(
    plan: Plan,
    out: Path,
    engine: Engine,
    track: list[str],
    allow_changes: bool,
    retry: bool,
    as_json: bool,
    printed: str = "",
) -> None:
    from longway.bench.engine import run
    from longway.bench.output import compare_methods
    from longway.bench.tracking import trackers
    from longway.cli import _printing

    logs = trackers(track, out)  # report a missing library before the work
    run(plan, out, engine, allow_changes=allow_changes, retry=retry)
    comparison = compare_methods(plan, out, printed)
    page = comparison.write(out)
    for log in logs:
        log(plan, comparison.results)
    _print(comparison, "json" if as_json else "text")
    if not as_json:
        _printing.say(f"Report with pictures: {page}")


def _print(comparison: Comparison, format_: str) -> None:
    from longway.bench import table_formats as formats
    from longway.bench.grids import cost_grid, failures, grids, pair_grids
    from longway.cli import _printing

    if format_ == "json":
        pairs = {"published": [pair.to_dict() for pair in comparison.pairs]} if comparison.printed else {}
        _printing.data({**comparison.table.to_dict(), **pairs})
        return
    if format_ == "csv":
        print(printable(formats.to_csv(comparison.table)), end="")
        return
    if comparison.printed:
        shown = [*pair_grids(comparison.printed, comparison.pairs), *failures(comparison.table)]
    else:
        shown = [*grids(comparison.table), *([cost_grid(comparison.costs)] if comparison.costs else [])]
    if format_ == "text":
        formats.show(shown)
    else:
        print(printable(formats.to_markdown(shown) if format_ == "markdown" else formats.to_latex(shown)), end="")


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the command line names."""
    return {name: value for name, value in values.items() if value}


def _benchmark(target: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plan would say of a benchmark that the command line names."""
    from longway.datasets import BENCHMARKS
    from longway.utils.errors import nearest

    if target in BENCHMARKS:
        for taken in sorted(data):
            raise LongwayError(f"--{taken.replace('_', '-')} is for your own data; {target} has --option instead")
        return {"name": target}
    if not Path(target).exists():
        raise LongwayError(f"{target!r} is no plan, benchmark or data: {nearest(target, BENCHMARKS)}")
    return {"name": "data", "source": target, **data}


def _methods(names: list[str] | None) -> list[dict[str, str]]:
    from longway.methods import METHODS

    parts = [name.partition(":") for name in names or METHODS]
    return [{"name": name, "paper": setting} if setting else {"name": name} for name, _, setting in parts]
