"""The demonstration: its table, its groups, its numbers."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from blocks.results import Results
from blocks.text import METHODS, percent, std, table


def demo_table(results: Results) -> str:
    """Return every method's line in the demonstration."""
    record = results.demo
    names = ("in_distribution", "out_of_distribution", "worst_group")
    rows = []
    for line in record["table"]:
        method = f"**{line['method']}**" if line["method"] == record["recommended"] else line["method"]
        cells = [std(line[name]["mean"], line[name]["std"]) for name in names]
        rows.append([method, line["given"], *cells, f"{line['seconds']['mean']:.0f}"])
    columns = ["Method", "Given", "Colour agrees", "Colour reversed", "Worst group", "Seconds a fit"]
    words = f"Accuracy in %, mean ± standard deviation over {record['seeds']} seeds. No method was given a group label."
    return f"{table(columns, rows)}\n\n{words}"


def demo_groups(results: Results) -> str:
    """Return the output of ``longway evaluate`` for the demonstration's ordinary network, first seed."""
    from longway.cli._printing import group_table
    from longway.metrics.group_metrics import GroupMetrics

    trial = next(trial for trial in results.demo["trials"] if trial["method"] == "ERM")
    with redirect_stdout(io.StringIO()) as out:
        group_table(GroupMetrics.from_dict(trial["groups"]), "ERM on the test part of digits")
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```"


def demo_seconds(results: Results) -> str:
    """Return the duration of the demonstration."""
    return f"{results.demo['seconds']:.0f} s"


def demo_share(results: Results, method: str, name: str) -> str:
    """Return the mean of a method's metric in the demonstration."""
    line = next(line for line in results.demo["table"] if line["method"] == METHODS[method])
    return percent(line[name]["mean"])
