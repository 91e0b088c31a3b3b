"""`longway bench`: comparing methods under a protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longway.cli.options import AsJson, Quiet
from longway.errors import LongwayError

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
            "--method", "-m", metavar="NAME", help="May be repeated.", show_default="all", rich_help_panel=COMPARISON
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, metavar="NUMBER", show_default="3 or the plan's", rich_help_panel=COMPARISON),
    ] = None,
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
    groups: Annotated[
        str,
        typer.Option(
            "--groups", metavar="NAME", help="Group labels: none, infer, val or train.", rich_help_panel=COMPARISON
        ),
    ] = "none",
    selection: Annotated[
        str,
        typer.Option("--selection", metavar="RULE", help="What selects; see the docs.", rich_help_panel=COMPARISON),
    ] = "auto",
    validation: Annotated[
        str,
        typer.Option("--validation", metavar="NAME", help="as_train or balanced.", rich_help_panel=COMPARISON),
    ] = "as_train",
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="NAME=VALUE",
            help="Of the benchmark; may be repeated. erm_features=true gives heads the features of an ERM network.",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
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
        str, typer.Option("--device", metavar="NAME", help="cpu or cuda.", rich_help_panel=MACHINE)
    ] = "cpu",
    track: Track = None,
    allow_changes: AllowChanges = False,
    retry: Retry = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run methods x seeds x settings x protocols; interrupted, the same command goes on where it was."""
    from longway.bench.engine import Engine
    from longway.bench.plan import load_record, read_plan

    changes = {"seeds": seeds, "draws": draws, "baseline": baseline}
    if target.endswith(".toml"):
        record = load_record(target)
        for name, given in (("--method", method), ("--label", label), ("--option", option)):
            if given:
                raise LongwayError(f"{name} belongs in the plan: write it into {target}")
    else:
        own: dict[str, Any] = {
            "label": label,
            "attribute": attribute,
            "group": group,
            "split": split,
            "split_by": split_by,
        }
        own |= {"backbone": backbone, "size": size}
        record = {
            "benchmark": [_benchmark(target, {key: value for key, value in own.items() if value}, option or [])],
            "method": _methods(method),
            "protocol": [{"groups": groups, "selection": selection, "validation": validation}],
            "device": device,
            "seeds": 3,
        }
    plan = read_plan({**record, **{key: value for key, value in changes.items() if value is not None}}, target)
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
    from longway.errors import nearest

    if format_ not in FORMATS:
        raise LongwayError(f"--format {format_!r} is unknown; {nearest(format_, FORMATS)}")
    _print(read_comparison(folder), format_)


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the benchmarks, what their shortcut is, and what they need."""
    from longway.cli import printing
    from longway.data.catalogue import BENCHMARKS

    if as_json:
        printing.data([_card(name) for name in BENCHMARKS])
        return
    for name, cls in BENCHMARKS.items():
        printing.say(f"{name}: {cls.card.title}")
        printing.say(f"    shortcut: {cls.card.shortcut}")


@app.command("card")
def card_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in `bench list`.", show_default=False)],
    check: Annotated[
        bool, typer.Option("--check", help="Build it and count its groups, beside the published counts.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a benchmark is, where it comes from, and how to get it."""
    from longway.cli import printing

    card = _card(name)
    built = _built(name) if check else None
    if as_json:
        printing.data(card if built is None else {**card, "built": built})
        return
    printing.say(f"{card['title']} ({name})")
    for key in ("core", "shortcut", "source", "licence", "obtain"):
        printing.say(f"  {key}: {card[key]}")
    printing.say(f"  stands for it in a ranking: {card['metric'][1].replace('_', ' ')} on {card['metric'][0]}")
    for key, value in card["options"].items():
        printing.say(f"  --option {key}={json.dumps(value)}")
    for part, counts in card["counts"].items():
        printing.say(f"  published counts, {part}: " + ", ".join(f"{group} {n:,}" for group, n in counts.items()))
    for file, digest in card["files"].items():
        printing.say(f"  file {file}" + (f", content hash {digest}" if digest else ""))
    if built is not None:
        for part, counts in built["counts"].items():
            printing.say(f"  built, {part}: " + ", ".join(f"{group} {n:,}" for group, n in counts.items()))
        for line in built["differences"]:
            printing.say(f"  DIFFERS: {line}")


@app.command("reproduce")
def reproduce_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as sitar-cmnist.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", show_default="longway-reproduce-NAME")
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, metavar="NUMBER", show_default="the plan's")] = None,
    jobs: Jobs = -1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run the rows of a published table that this machine can run, and show ours beside theirs."""
    from dataclasses import replace

    from longway.bench.engine import Engine, run
    from longway.bench.formats import show
    from longway.bench.grids import pair_grid
    from longway.bench.published import compare, reproduction
    from longway.cli import printing

    plan = reproduction(name)
    if seeds is not None:
        plan = replace(plan, seeds=tuple(range(seeds)))
    folder = out or Path(f"longway-reproduce-{name}")
    results = run(plan, folder, Engine(jobs, verbose=0 if quiet else 1))
    pairs = compare(results, name)
    if as_json:
        printing.data([pair.to_dict() for pair in pairs])
    else:
        show([pair_grid(name, pairs)])


def _run(
    plan: Plan, out: Path, engine: Engine, track: list[str], allow_changes: bool, retry: bool, as_json: bool
) -> None:
    from longway.bench.engine import run
    from longway.bench.output import compare_methods
    from longway.bench.tracking import trackers
    from longway.cli import printing

    logs = trackers(track, out)  # an absent library is told of before the work
    run(plan, out, engine, allow_changes=allow_changes, retry=retry)
    comparison = compare_methods(plan, out)
    page = comparison.write(out)
    for log in logs:
        log(plan, comparison.results)
    _print(comparison, "json" if as_json else "text")
    if not as_json:
        printing.say(f"Report with pictures: {page}")


def _print(comparison: Comparison, format_: str) -> None:
    from longway.bench import formats
    from longway.bench.grids import cost_grid, grids
    from longway.cli import printing

    if format_ == "json":
        printing.data(comparison.table.to_dict())
        return
    if format_ == "csv":
        print(formats.to_csv(comparison.table), end="")
        return
    shown = [*grids(comparison.table), *([cost_grid(comparison.costs)] if comparison.costs else [])]
    if format_ == "text":
        formats.show(shown)
    else:
        print(formats.to_markdown(shown) if format_ == "markdown" else formats.to_latex(shown), end="")


def _card(name: str) -> dict[str, Any]:
    from dataclasses import MISSING, asdict, fields

    from longway.bench.prepared import benchmark_class

    cls = benchmark_class(name)
    options = {f.name: f.default for f in fields(cls) if f.default is not MISSING}  # type: ignore[arg-type]
    return {"name": name, **asdict(cls.card), "options": options}


def _built(name: str) -> dict[str, Any]:
    """Return the group counts of a benchmark as it is built here, and where they differ from the published ones."""
    import numpy as np

    from longway.bench.prepared import benchmark_class
    from longway.data.catalogue import check_counts

    benchmark = benchmark_class(name).with_options({})
    parts = benchmark.build(0)
    counts = {}
    for part, data in parts.items():
        kinds = np.asarray(data.y if data.groups is None else data.groups)
        names, n = np.unique(kinds, return_counts=True)
        counts[part] = dict(zip(map(str, names.tolist()), n.tolist(), strict=True))
    return {"counts": counts, "differences": check_counts(parts, benchmark.card)}


def _benchmark(target: str, own: dict[str, Any], options: list[str]) -> dict[str, Any]:
    """Return what a plan would say of a benchmark that the command line names."""
    from longway.data.catalogue import BENCHMARKS
    from longway.errors import nearest

    record: dict[str, Any] = {}
    for setting in options:
        key, equals, text = setting.partition("=")
        if not equals:
            raise LongwayError(f"--option {setting!r} must be NAME=VALUE")
        try:
            record[key] = json.loads(text)
        except json.JSONDecodeError:
            record[key] = text
    if target in BENCHMARKS:
        taken = sorted(own)
        if taken:
            raise LongwayError(f"--{taken[0].replace('_', '-')} is for your own data; {target} has --option instead")
        return {"name": target, **record}
    if not Path(target).exists():
        raise LongwayError(f"{target!r} is no plan, benchmark or data: {nearest(target, BENCHMARKS)}")
    return {"name": "data", "source": target, **own, **record}


def _methods(names: list[str] | None) -> list[str]:
    from longway.methods import METHODS

    return names or list(METHODS)
