"""The table on real faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blocks.results import Results
from blocks.text import not_measured, std, table


def celeba(results: Results) -> str:
    """Return the table on real faces."""
    record = results.celeba
    if record is None or "skipped" in record:
        return not_measured("python benchmarks/celeba.py")
    task = record["task"]
    groups = list(record["runs"][0]["groups"])
    rows = [
        [
            _setting(run),
            f"`{run['supervision']}`",
            *(f"{100 * run['groups'][group]:.1f}" for group in groups),
            _with_std(run, "average_accuracy"),
            _with_std(run, "worst_group_accuracy"),
            f"{run['seconds']:.1f}",
        ]
        for run in record["runs"]
    ]
    columns = ["Method", "Group labels used", *groups, "Average", "Worst group", "Seconds a fit"]
    sizes = ", ".join(f"{name} {_size(task[name])}" for name in ("train", "val", "test"))
    several = "splits" in task
    over = f", mean ± standard deviation over {task['splits']} splits by identity" if several else ""
    words = (
        f"CelebA faces, label {task['label']}, spurious attribute {task['attribute']}, features of "
        f"{record['backbone']}. Images{' of the last split' if several else ''}: {sizes}. Accuracy in % on the test "
        f"part{over}; the group columns are means."
    )
    return f"{words}\n\n{table(columns, rows)}"


def _setting(run: Mapping[str, Any]) -> str:
    setting = run["setting"]
    return setting if setting.startswith(run["method"]) else f"{run['method']}, {setting}"


def _with_std(run: Mapping[str, Any], name: str) -> str:
    return std(run[name], run.get(f"{name}_std"))


def _size(part: Any) -> str:
    """Return the number of samples of a part; a record may give it per group."""
    if isinstance(part, Mapping):
        part = sum(part.values())
    elif isinstance(part, Sequence) and not isinstance(part, str):
        part = sum(part)
    return f"{part:,}" if isinstance(part, int) else str(part)
