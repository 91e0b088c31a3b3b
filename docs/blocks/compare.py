"""Methods on benchmarks: the catalogue, our tables, and published numbers next to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from blocks.results import Results
from blocks.text import not_measured, points, std, table

CHOICES = "heads-tuned"
"""The comparison in which several rules choose among the same settings; the last is an oracle."""
FREE = "Settings by worst class"
"""The rule that needs only labels."""


def catalogue(_: Results) -> str:
    """Return the benchmarks with their core, shortcut and main metric."""
    from longway.datasets import BENCHMARKS

    rows = []
    for name, cls in BENCHMARKS.items():
        part, metric = cls.card.metric
        rows.append([f"`{name}`", cls.card.core, cls.card.shortcut, f"{metric.replace('_', ' ')} on {part}"])
    return table(["Name", "Core", "Shortcut", "Main metric"], rows)


def compared(results: Results) -> str:
    """Return a table of methods x benchmarks for each comparison and protocol, best method first."""
    if not results.compare:
        return not_measured("make compare", "tables that belong")
    return "\n\n".join(
        f"{_compared(record, protocol)}\n\nAll metrics: [{name}](../results/compare/{name}/table.md)."
        for name, record in results.compare.items()
        if name != CHOICES
        for protocol in dict.fromkeys(block["protocol"] for block in record["blocks"])
    )


def choices(results: Results) -> str:
    """Return the worst group of each method, mean over benchmarks, by the rule that chooses the setting."""
    record = results.compare.get(CHOICES)
    if record is None:
        return not_measured("make compare", "table that belongs")
    worst: dict[str, dict[str, list[float]]] = {}
    tried: dict[str, int] = {}
    for block in record["blocks"]:
        for line in block["methods"]:
            by_protocol = worst.setdefault(line["method"], {})
            by_protocol.setdefault(block["protocol"], []).append(line["figures"][block["metric"]]["mean"])
            tried[line["method"]] = line["tried"] // len(line["seeds"])
    protocols = list(dict.fromkeys(block["protocol"] for block in record["blocks"]))
    means = {method: [float(np.mean(found[p])) for p in protocols] for method, found in worst.items()}
    free, oracle = protocols.index(FREE), len(protocols) - 1
    rows = [
        [method, str(tried[method]), *(f"{100 * value:.1f}" for value in found), points(found[free] - found[oracle])]
        for method, found in sorted(means.items(), key=lambda item: -item[1][oracle])
    ]
    every = np.mean(list(means.values()), 0).tolist()
    rows.append(["All", "–", *(f"{100 * value:.1f}" for value in every), points(every[free] - every[oracle])])
    titles = [protocol.removeprefix("Settings by ").capitalize() for protocol in protocols]
    benchmarks = ", ".join(dict.fromkeys(block["benchmark"] for block in record["blocks"]))
    words = f"Worst group, %, mean over {benchmarks}. Cost: worst class against oracle, in points."
    return f"{words}\n\n{table(['Method', 'Settings', *titles, 'Cost'], rows)}"


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
            row.append("–" if figure is None else std(figure["mean"], figure["std"]))
        rows.append(row)
    titles = [f"{b['benchmark']}, {b['metric'].replace('.', ' ').replace('_', ' ')}" for b in blocks]
    seeds = max(len(line["seeds"]) for line in lines.values())
    words = f"**{protocol.capitalize()}.** Percent, mean ± standard deviation over {seeds} seeds."
    return f"{words}\n\n{table(['Method', 'Group labels used', 'Mean rank', *titles], rows)}"


def _used(blocks: Sequence[Mapping[str, Any]], method: str) -> str:
    used = {line["supervision"] for block in blocks for line in block["methods"] if line["method"] == method}
    return ", ".join(sorted(used - {""})).replace("_", " ")


def measured(results: Results, plan: str, number: int, method: str, part: str, name: str) -> str:
    """Return the mean and standard deviation of a method's metric in table ``number``, from 0, of a comparison."""
    line = next(line for line in results.compare[plan]["blocks"][number]["methods"] if line["name"] == method)
    found = line["figures"][f"{part}.{name}"]
    return f"{std(found['mean'], found['std'])} %"


def reproduced(results: Results) -> str:
    """Return published numbers next to ours, with links to the conditions of our runs."""
    if not results.published:
        return not_measured("longway bench reproduce", "tables that belong")
    return "\n\n".join(_reproduced(record) for record in results.published.values())


def _reproduced(record: Mapping[str, Any]) -> str:
    rows = [
        [
            *(pair["benchmark"], pair["method"] or f"{pair['printed']} (not run)", pair["figure"].replace("_", " ")),
            *(_printed(pair["theirs"]), _printed(pair["ours"]), _difference(pair["difference"])),
        ]
        for pair in record["pairs"]
    ]
    columns = ["Benchmark", "Method", "Metric", "Published", "Here", "Difference"]
    return (
        f"**{record['table']}.** Percent; [what differs](../results/compare/{record['table']}/published.md).\n\n"
        + table(columns, rows)
    )


def _printed(number: Sequence[float | None] | None) -> str:
    if number is None:
        return "–"
    mean, deviation = number
    return std(mean or 0, deviation)


def _difference(difference: float | None) -> str:
    return "–" if difference is None else points(difference)
