"""Tables for people on a terminal, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from longway.metrics.group_metrics import GroupMetrics
from longway.utils.errors import printable


def _console() -> Console:
    return Console(highlight=False, soft_wrap=False)


def say(text: str) -> None:
    """Print one line, as it is."""
    _console().print(Text(printable(text)), soft_wrap=True)


def data(record: Any) -> None:
    """Print JSON."""
    print(json.dumps(record, indent=2))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], bold: int | None = None) -> None:
    """Print a table; all cells are taken as plain text, columns of numbers to the right."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, (name, cells) in enumerate(zip(columns, zip(*rows, strict=True), strict=True)):
        numeric = number > 0 and all(re.fullmatch(r"[-\d.,%±\s]+", cell) for cell in cells)
        shown.add_column(Text(printable(name)), justify="right" if numeric else "left", overflow="fold")
    for number, row in enumerate(rows):
        shown.add_row(*(Text(printable(cell)) for cell in row), style="bold" if number == bold else None)
    _console().print(Text(printable(title), style="bold"), soft_wrap=True)
    _console().print(shown)


def group_table(metrics: GroupMetrics, title: str) -> None:
    """Print accuracy by group, or by class where no groups are known, and what sums it up."""
    groups = metrics.groups or metrics.classes
    rows = [
        [
            group.name,
            f"{group.n:,}",
            f"{group.accuracy:.1%}" if group.n else "-",
            "{:.1%} - {:.1%}".format(*group.interval) if group.n else "-",
        ]
        for group in groups
    ]
    filled = [(group.accuracy, number) for number, group in enumerate(groups) if group.n]
    table(title, ["Group" if metrics.groups else "Class", "n", "Accuracy", "95 % interval"], rows, min(filled)[1])
    sums = [f"average {metrics.average_accuracy:.1%}", f"balanced {metrics.balanced_accuracy:.1%}"]
    if metrics.groups:
        if (reweighted := reweighted_average(metrics)) is not None:
            sums.insert(1, f"weighted as in training {reweighted:.1%}")
        sums.append(f"worst group {metrics.worst_group_accuracy:.1%} ({metrics.worst_group})")
    else:
        sums.append(f"worst class {metrics.worst_class_accuracy:.1%} ({metrics.worst_class})")
    say(", ".join(sums))


def reweighted_average(metrics: GroupMetrics) -> float | None:
    """Return the average weighted by training proportions, None where they are not known."""
    groups = metrics.groups or ()
    known = all(group.train_n is not None for group in groups) and any(group.train_n for group in groups if group.n)
    return metrics.reweighted_average_accuracy if known else None


def demo_table(record: Mapping[str, Any]) -> None:
    """Print the demonstration's table."""
    figures = ("in_distribution", "out_of_distribution", "worst_group")
    rows = [
        [line["method"], line["given"]]
        + ["{:.1f} ± {:.1f}".format(100 * line[name]["mean"], 100 * line[name]["std"]) for name in figures]
        for line in record["table"]
    ]
    best = [line["method"] for line in record["table"]].index(record["recommended"])
    columns = ["Method", "Given", "Colour agrees", "Colour reversed", "Worst group"]
    title = f"Accuracy in %, mean and standard deviation over {record['seeds']} seeds"
    table(title, columns, rows, bold=best)
    worst = {line["method"]: line["worst_group"]["mean"] for line in record["table"]}
    gain = 100 * (worst[record["recommended"]] - worst["ERM"])
    say(f"{record['recommended']}: {gain:+.1f} points on the worst group against ERM, without a single group label.")


def methods_table(records: Sequence[Mapping[str, Any]]) -> None:
    """Print the methods with their parameters."""
    for record in records:
        settings = f"; paper settings: {', '.join(record['published'])}" if record["published"] else ""
        say(f"{record['method']}: {record['summary']}")
        say(f"    group labels it may use: {record['supervision']}{settings}")
        say("    " + ", ".join(f"{key}={json.dumps(value)}" for key, value in record["parameters"].items()))
