"""Fills figures from ``results/*.json`` into README.md and docs/*.md.

A figure stands between two markers, on a line or on lines of its own::

    on the worst group: <!-- figures: demo.erm.worst_group -->44 %<!-- end -->.

What is between them is never written by hand. Run ``python docs/figures.py`` after new results, and
``python docs/figures.py --check`` to learn whether a file is out of date (exit status 1, one line for each).
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"(?P<begin><!-- figures: (?P<name>\S+) -->).*?(?P<end><!-- end -->)", re.DOTALL)
METHODS = {
    "erm": "ERM",
    "sitar": "SITAR",
    "sitar-published": "SITAR, as published",
    "hsfm": "HSFM",
    "pseudo-groups": "Pseudo-groups",
}


class Results(NamedTuple):
    """The records under ``results/``; those that have not been made are None."""

    demo: dict[str, Any]
    celeba: dict[str, Any] | None
    benchmarks: dict[str, Any] | None
    hsfm_inner: dict[str, Any] | None = None
    compare: Mapping[str, dict[str, Any]] = {}
    """The tables of ``longway bench run``, by the name of their plan."""
    audit: dict[str, Any] | None = None
    hsfm_speed: dict[str, Any] | None = None
    dfr: dict[str, Any] | None = None
    published: Mapping[str, dict[str, Any]] = {}
    """What ``longway bench reproduce`` wrote, by the name of its folder."""
    audit_fixes: dict[str, Any] | None = None
    audit_fixes_fresh: dict[str, Any] | None = None


def main(arguments: Sequence[str]) -> int:
    """Write the figures, or say which files are out of date."""
    results = read_results(ROOT / "results")
    stale = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        filled = fill(text, results)
        if filled == text:
            continue
        if "--check" in arguments:
            stale.append(path)
        else:
            path.write_text(filled, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: run `python docs/figures.py`")
    return 1 if stale else 0


def documents() -> list[Path]:
    """Return the files that may hold figures."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read_results(folder: Path) -> Results:
    """Read the records; only the demonstration's must be there."""

    def read(name: str) -> Any:
        path = folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    demo = read("demo")
    if demo is None:
        sys.exit(f"{folder / 'demo.json'} is not there: run `longway demo --quiet --json > results/demo.json`")

    def folders(name: str) -> dict[str, Any]:
        return {
            path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob(f"compare/*/{name}.json"))
        }

    names = ("celeba", "benchmarks", "hsfm_inner", "audit", "audit_fixes", "audit_fixes_fresh", "hsfm_speed", "dfr")
    records = {name: read(name) for name in names}
    return Results(demo=demo, compare=folders("table"), published=folders("published"), **records)


def hsfm_inner(results: Results) -> str:
    """Return the worst group of each way to retrain a head, in the record on HSFM's inner problem."""
    if results.hsfm_inner is None:
        return "Not measured yet: `python benchmarks/hsfm_inner.py` makes the table that belongs here."
    rows = [
        [name, f"{100 * line['mean']:.1f} ± {100 * line['spread']:.1f}"] for name, line in results.hsfm_inner.items()
    ]
    return table(["Head", "Worst group, %"], rows)


def fill(text: str, results: Results) -> str:
    """Put every figure between its markers."""

    def filled(match: re.Match[str]) -> str:
        content = figure(match["name"], results)
        if match["name"] in BLOCKS:
            content = f"\n\n{content}\n\n"
        return match["begin"] + content + match["end"]

    return MARK.sub(filled, text)


def figure(name: str, results: Results) -> str:
    """Return the text of one figure.

    It is a block, a number of the demonstration such as ``demo.erm.worst_group``, or one of a comparison's first
    benchmark and protocol such as ``compare.sitar-digits.sitar.ood.average``.
    """
    if name in BLOCKS:
        return BLOCKS[name](results)
    first, *path = name.split(".")
    if first == "compare" and len(path) == 4:
        return _measured(results.compare[path[0]], *path[1:])
    if path == ["seconds"]:
        return f"{results.demo['seconds']:.0f} s"
    if len(path) == 2:
        return percent(_demo_line(results.demo, path[0])[path[1]]["mean"])
    sys.exit(f"there is no figure {name!r}; blocks are {', '.join(BLOCKS)}, numbers are like demo.erm.worst_group")


def _measured(record: Mapping[str, Any], method: str, part: str, name: str) -> str:
    """Return the mean and the spread of a method's figure."""
    line = next(line for line in record["blocks"][0]["methods"] if line["name"] == method)
    found = line["figures"][f"{part}.{name}"]
    return f"{100 * found['mean']:.1f} ± {100 * found['spread']:.1f} %"


def percent(share: float) -> str:
    """Write a share as it stands in a sentence."""
    return f"{100 * share:.0f} %"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table: words to the left, numbers to the right."""
    numeric = [all(re.match(r"[\d*–-]", row[k]) for row in rows) for k in range(len(columns))]
    rule = ["--:" if right else ":--" for right in numeric]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows))


def demo_table(results: Results) -> str:
    """Return every method's line in the demonstration."""
    record = results.demo
    names = ("in_distribution", "out_of_distribution", "worst_group")
    rows = []
    for line in record["table"]:
        method = f"**{line['method']}**" if line["method"] == record["recommended"] else line["method"]
        cells = ["{:.1f} ± {:.1f}".format(100 * line[name]["mean"], 100 * line[name]["spread"]) for name in names]
        rows.append([method, line["given"], *cells, f"{line['seconds']['mean']:.0f}"])
    columns = ["Method", "Given", "Colour agrees", "Colour reversed", "Worst group", "Seconds a fit"]
    words = f"Accuracy in %, mean ± standard deviation over {record['seeds']} seeds. No method was given a group label."
    return f"{table(columns, rows)}\n\n{words}"


def demo_groups(results: Results) -> str:
    """Return what ``longway evaluate`` prints, for the demonstration's ordinary network, first seed."""
    from longway.cli.printing import group_table
    from longway.metrics import GroupMetrics

    trial = next(trial for trial in results.demo["trials"] if trial["method"] == "ERM")
    with redirect_stdout(io.StringIO()) as out:
        group_table(GroupMetrics.from_dict(trial["groups"]), "ERM on the test part of digits")
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```"


def celeba(results: Results) -> str:
    """Return the table on real faces."""
    record = results.celeba
    if record is None or "skipped" in record:
        return "Not measured yet: `python benchmarks/celeba.py` makes the table that belongs here."
    task = record["task"]
    groups = list(record["runs"][0]["groups"])
    rows = [
        [
            _setting(run),
            f"`{run['supervision']}`",
            *(f"{100 * run['groups'][group]:.1f}" for group in groups),
            _with_spread(run, "average_accuracy"),
            _with_spread(run, "worst_group_accuracy"),
            f"{run['seconds']:.1f}",
        ]
        for run in record["runs"]
    ]
    columns = ["Method", "Group labels used", *groups, "Average", "Worst group", "Seconds a fit"]
    sizes = ", ".join(f"{name} {_size(task[name])}" for name in ("train", "val", "test"))
    several = "splits" in task
    spread = f", mean ± standard deviation over {task['splits']} splits by identity" if several else ""
    words = (
        f"CelebA faces, label {task['label']}, spurious attribute {task['attribute']}, features of "
        f"{record['backbone']}. Images{' of the last split' if several else ''}: {sizes}. Accuracy in % on the test "
        f"part{spread}; the group columns are means."
    )
    return f"{words}\n\n{table(columns, rows)}"


def _setting(run: Mapping[str, Any]) -> str:
    setting = run["setting"]
    return setting if setting.startswith(run["method"]) else f"{run['method']}, {setting}"


def _with_spread(run: Mapping[str, Any], name: str) -> str:
    mean, spread = run[name], run.get(f"{name}_spread")
    return f"{100 * mean:.1f}" if spread is None or spread != spread else f"{100 * mean:.1f} ± {100 * spread:.1f}"


def _size(part: Any) -> str:
    """Return the number of rows of a part, which a record may also give group by group."""
    if isinstance(part, Mapping):
        part = sum(part.values())
    elif isinstance(part, Sequence) and not isinstance(part, str):
        part = sum(part)
    return f"{part:,}" if isinstance(part, int) else str(part)


def speed(results: Results) -> str:
    """Return speed and memory beside what they are measured against."""
    record = results.benchmarks
    if record is None:
        return "Not measured yet: `make bench` makes the table that belongs here."
    rows = []
    embed, metrics = (record.get(name) or {} for name in ("embed", "metrics"))
    if "ratio" in embed:
        setting = f"{embed['images']:,} images at {embed['size']} pixels, batches of {embed['batch_size']}"
        ratios = f"{embed['ratio']:.2f} (its default layout), {embed['ratio_channels_last']:.2f} (channels last)"
        rows.append([f"`longway embed`: {setting}", ratios, "share of the bare forward pass's speed"])
    if metrics:
        what = f"Group metrics: {metrics['samples']:,} samples, {metrics['groups']} groups"
        times = f"{metrics['integers_ms']:.1f} ms"
        rows.append([what, times, f"{metrics['integers_speedup']:.0f} times as fast as a loop over groups"])
    for case in record.get("memory", []):
        size = " x ".join(f"{n:,}" for n in case["shape"])
        rows += [
            [f"Peak memory of `{METHODS[method]}` on {size} features, {case['dtype']}, memory-mapped",
             f"{peak:.2f} GB", f"limit {case['limit_gb']:g} GB"]
            for method, peak in case["peak_gb"].items()
        ]  # fmt: skip
    if harness := record.get("harness"):
        cost, two, many = harness["overhead"], harness["workers"], harness["tabulation"]
        rows += [
            ["`longway bench`: overhead of a trial", f"{cost['overhead_ms']:.1f} ms", "limit 50 ms"],
            [
                "The same beside heads on 6,000 x 1,280 features",
                f"{100 * two['overhead_share']:.1f} %",
                "of the fit, limit 2 %",
            ],
            [
                "Two workers, heads on 6,000 x 1,280 features",
                f"{two['speedup']:.2f}",
                "times as fast as one, aim 1.7",
            ],
            [f"Reading and tabulating {many['trials']:,} trials", f"{many['seconds']:.1f} s", "limit 3 s"],
        ]
    if training := record.get("training"):
        what = f"{training['images']:,} images at {training['size']} pixels, batches of {training['batch_size']}"
        beside = "share of a bare PyTorch loop's speed, aim 0.95"
        rows.append([f"An epoch of SITAR: {what}", f"{training['ratio']:.2f}", beside])
        if "ratio_pythae" in training:
            beside = "times as fast as pythae's trainer, aim 1.5"
            rows.append(["An epoch of a beta-VAE on the same", f"{training['ratio_pythae']:.2f}", beside])
    rows += _solvers(results)
    machine = record.get("machine")
    words = f"\n\nOn {machine['cores']} {machine['processor']} cores, torch {machine['torch']}." if machine else ""
    return table(["What", "Measured", "Beside"], rows) + words


def _solvers(results: Results) -> list[list[str]]:
    """Return how much faster heads are found than by plain ways to the same end."""
    rows = []
    for name, line in (results.hsfm_speed or {}).items():
        beside = "times as fast as unrolled autograd"
        rows.append([f"HSFM as published, shapes of {name}, one thread", f"{line['ratio']:.1f}", beside])
    if results.dfr:
        seeds = results.dfr["whole"]
        same = [line["ratio"] for line in seeds if line["liblinear"]["strength"] == line["longway"]["strength"]]
        apart = 100 * results.dfr["largest_difference"]
        beside = (
            f"times as fast as liblinear at its usual tolerance; {min(same):.1f} to {max(same):.1f} in the {len(same)} "
            f"of {len(seeds)} draws where both choose the same C; worst group within {apart:.2f} points of liblinear's "
            "optimum"
        )
        rows.append(["DFR, a path and 20 refits, shapes of Waterbirds", f"{results.dfr['ratio']:.1f}", beside])
    if grid := (results.benchmarks or {}).get("grid"):
        beside = (
            f"times as fast as {grid['settings']} fits; {grid['given']['ratio']:.1f} where the head that they start "
            "from is given"
        )
        rows.append([f"A grid of {grid['settings']} settings of AFR at once", f"{grid['own']['ratio']:.1f}", beside])
    return rows


def hsfm_apart(results: Results) -> str:
    """Return how far heads are from the reference's, by precision and epoch."""
    if results.hsfm_speed is None:
        return "Not measured yet: `python -m benchmarks.hsfm_speed` makes the table that belongs here."
    apart = results.hsfm_speed["waterbirds"]["apart"]
    names = {"longway": "Longway", "twin": "the twin"}
    rows = [
        [f"{precision.capitalize()} precision, epoch", *map(str, lines["epoch"])]
        if name == "epoch"
        else [f"{precision.capitalize()} precision, {names[name]}", *(f"{value:.0e}" for value in lines[name])]
        for precision, lines in apart.items()
        for name in ("epoch", "longway", "twin")
    ]
    return table(["", *(f"Run {i}" for i in range(1, len(rows[0])))], rows)


def audit(results: Results) -> str:
    """Return what the audit says of data sets with and without a shortcut."""
    if results.audit is None:
        return "Not measured yet: `python -m benchmarks.audit` makes the table that belongs here."
    found = results.audit["summary"]
    families = ", ".join(f"{name} {value:.2f}" for name, value in found["auroc_by_family"].items())
    low, high = found["clean_called_strong_interval"]
    precision = found["average_precision"]
    cleanlab = f"cleanlab's underperforming groups {precision['cleanlab']:.2f}, " if "cleanlab" in precision else ""
    rows = [
        ["Detecting that there is a shortcut, AUROC", f"{found['auroc']:.3f}", f"aim .95; {families}"],
        [
            "Clean data called strong evidence",
            f"{found['clean_called_strong']} of {found['clean']}",
            f"aim 5 %; interval {percent(low)} to {percent(high)}",
        ],
        [
            "Planted shortcuts called strong evidence",
            f"{found['planted_called_strong']} of {found['planted']}",
            f"suspicion: {found['planted_called_suspicion']} more",
        ],
        ["True attribute ranked first, of those", percent(found["strong_ranked_first_share"]), "aim 90 %"],
        [
            "Average precision on the minority groups",
            f"{precision['audit']:.2f}",
            f"errors as in JTT {precision['errors']:.2f}, mixtures as in Domino {precision['domino']:.2f}, "
            f"{cleanlab}chance {precision['chance']:.2f}",
        ],
    ]
    if results.audit_fixes is not None:
        fixes = results.audit_fixes["summary"]
        found, true = (fixes["heads"][name] for name in ("subg", "subg, true groups"))
        rows += [
            [
                "Reliance after `SUBG` on the audit's groups, median",
                f"{found['times_less_median']:.1f} times less",
                f"aim 10; on the true groups {true['times_less_median']:.1f}",
            ],
            [
                "Reliance falls 5 times or more",
                f"{found['reached']} of {fixes['data_sets']}",
                f"aim all; on the true groups {true['reached']}",
            ],
        ]
    return table(["What", "Measured", "Beside"], rows)


def audit_fixes(record: Mapping[str, Any] | None) -> str:
    """Return how far reliance on the shortcut falls, by kind of data and by way to balance groups."""
    if record is None:
        return "Not measured yet: `python -m benchmarks.audit.fixes` makes the table that belongs here."
    whole = record["summary"]
    rows = []
    for name, part in [*whole["families"].items(), ("all", whole)]:
        cells = [
            f"{each['times_less_median']:.1f}, {each['reached']}, {100 * each['worst_group']:.0f}"
            for each in part["heads"].values()
        ]
        rows.append([name, str(part["data_sets"]), f"{100 * part['worst_group_before']:.0f}", *cells])
    heads = [FIXES.get(name, name) for name in whole["heads"]]
    words = "In each cell: how many times less, median; data sets with 5 times or more; worst group, %."
    return f"{words}\n\n{table(['Data', 'Sets', 'ERM, worst group', *heads], rows)}"


FIXES = {
    "rwg": "`RWG`, the audit's groups",
    "subg": "`SUBG`, the audit's groups",
    "rwg, true groups": "`RWG`, true groups",
    "subg, true groups": "`SUBG`, true groups",
}


def audit_speed(results: Results) -> str:
    """Return what an audit costs by the size of the data."""
    record = (results.benchmarks or {}).get("audit_size")
    if record is None:
        return "Not measured yet: `python -m benchmarks audit_size` makes the table that belongs here."
    rows = [
        [
            f"{each['given']:,} x {each['features']:,}",
            f"{each['rows']:,}",
            f"{each['seconds']:.1f}",
            f"{each['peak_gb'] - each['imports_gb']:.2f}",
        ]
        for each in (record["wide"], *record["all_rows"], record["largest"])
    ]
    imports = f"{record['wide']['imports_gb']:.1f}"
    return table(["Rows x features", "Rows audited", "Seconds", f"GB, beside {imports} of imports"], rows)


def catalogue(_: Results) -> str:
    """Return the benchmarks, what tells their classes apart, and what stands for them."""
    from longway.data.catalogue import BENCHMARKS

    rows = []
    for name, cls in BENCHMARKS.items():
        part, figure = cls.card.metric
        rows.append([f"`{name}`", cls.card.core, cls.card.shortcut, f"{figure.replace('_', ' ')} on {part}"])
    return table(["Name", "Core", "Shortcut", "Stands for it"], rows)


def compared(results: Results) -> str:
    """Return a table of methods x benchmarks for each comparison and protocol, best method first."""
    if not results.compare:
        return "Not measured yet: `make compare` makes the tables that belong here."
    return "\n\n".join(
        f"{_compared(record, protocol)}\n\nAll figures: [{name}](../results/compare/{name}/table.md)."
        for name, record in results.compare.items()
        for protocol in dict.fromkeys(block["protocol"] for block in record["blocks"])
    )


def _compared(record: Mapping[str, Any], protocol: str) -> str:
    blocks = [block for block in record["blocks"] if block["protocol"] == protocol]
    lines = {line["method"]: line for block in blocks for line in block["methods"]}
    ranks = {rank["method"]: rank for rank in record["rankings"].get(protocol, [])}
    rows = []
    for method in sorted(lines, key=lambda m: ranks[m]["mean"] if m in ranks else 0):
        rank = ranks.get(method)
        row = [method, _used(blocks, method), "{mean:.1f} ({low:.1f}–{high:.1f})".format(**rank) if rank else "–"]
        for block in blocks:
            line = next((line for line in block["methods"] if line["method"] == method), None)
            figure = line["figures"].get(block["metric"]) if line else None
            row.append("–" if figure is None else f"{100 * figure['mean']:.1f} ± {100 * (figure['spread'] or 0):.1f}")
        rows.append(row)
    titles = [f"{b['benchmark']}, {b['metric'].replace('.', ' ').replace('_', ' ')}" for b in blocks]
    seeds = max(len(line["seeds"]) for line in lines.values())
    words = f"**{protocol.capitalize()}.** Percent, mean ± standard deviation over {seeds} seeds."
    return f"{words}\n\n{table(['Method', 'Group labels used', 'Mean rank', *titles], rows)}"


def reproduced(results: Results) -> str:
    """Return published figures beside ours, and what ours were run with."""
    if not results.published:
        return "Not measured yet: `longway bench reproduce` makes the tables that belong here."
    return "\n\n".join(_reproduced(record) for record in results.published.values())


def _reproduced(record: Mapping[str, Any]) -> str:
    rows = [
        [
            *(pair["benchmark"], pair["method"] or f"{pair['printed']} (not run)", pair["figure"].replace("_", " ")),
            *(_printed(pair["theirs"]), _printed(pair["ours"]), _points(pair["difference"])),
        ]
        for pair in record["pairs"]
    ]
    columns = ["Benchmark", "Method", "Figure", "Published", "Here", "Difference"]
    return (
        f"**{record['table']}.** Percent; [what differs](../results/compare/{record['table']}/published.md).\n\n"
        + table(columns, rows)
    )


def _printed(number: Sequence[float | None] | None) -> str:
    if number is None:
        return "–"
    mean, spread = number
    return f"{100 * (mean or 0):.1f}" + (f" ± {100 * spread:.1f}" if spread is not None else "")


def _points(difference: float | None) -> str:
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def _used(blocks: Sequence[Mapping[str, Any]], method: str) -> str:
    used = {line["supervision"] for block in blocks for line in block["methods"] if line["method"] == method}
    return ", ".join(sorted(used - {""})).replace("_", " ")


SITAR_SYMBOLS = {
    "latent_dim": "d",
    "noise": "α",
    "beta": "β",
    "consistency": "λ",
    "reconstruction": "",
    "channels": "",
    "epochs": "",
    "batch_size": "",
    "learning_rate": "",
    "selection": "",
}
HSFM_SYMBOLS = {
    "variant": "",
    "n_support": "n",
    "n_hard": "K",
    "inner_steps": "T",
    "inner_rate": "α",
    "outer_rate": "η",
    "outer_steps": "K_H",
    "epochs": "",
    "ridge": "",
    "selection": "",
}
JTT_SYMBOLS = {
    "first_epochs": "T",
    "up_weight": "λ",
    "learning_rate": "",
    "weight_decay": "",
    "epochs": "",
    "first_ridge": "",
    "ridge": "",
    "selection": "",
}


def settings(method: str, symbols: Mapping[str, str]) -> str:
    """Return a method's parameters: the paper's symbol, the default, and each published setting."""
    import longway

    cls = getattr(longway, method)
    defaults = cls().get_params()
    columns = ["Parameter", "Symbol", "Default", *(f"`{name}`" for name in cls.published)]
    rows = [
        [f"`{name}`", symbol, _value(defaults[name])]
        + [_value(published[name]) if name in published else "" for published in cls.published.values()]
        for name, symbol in symbols.items()
    ]
    return table(columns, rows)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _demo_line(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    return next(line for line in record["table"] if line["method"] == METHODS[key])


BLOCKS: dict[str, Callable[[Results], str]] = {
    "demo-table": demo_table,
    "demo-groups": demo_groups,
    "celeba": celeba,
    "hsfm-inner": hsfm_inner,
    "hsfm-apart": hsfm_apart,
    "compare.catalogue": catalogue,
    "compare.results": compared,
    "compare.published": reproduced,
    "speed": speed,
    "audit": audit,
    "audit-fixes": lambda results: audit_fixes(results.audit_fixes),
    "audit-fixes-fresh": lambda results: audit_fixes(results.audit_fixes_fresh),
    "audit-speed": audit_speed,
    "sitar-settings": lambda _: settings("SITAR", SITAR_SYMBOLS),
    "hsfm-settings": lambda _: settings("HSFM", HSFM_SYMBOLS),
    "jtt-settings": lambda _: settings("JTT", JTT_SYMBOLS),
}
"""The blocks by name; each gets lines of its own."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
