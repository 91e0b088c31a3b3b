"""Speed and memory next to their references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blocks.results import Results
from blocks.text import METHODS, not_measured, table

TableRows = list[list[str]]


def speed(results: Results) -> str:
    """Return speed and memory next to their references."""
    record = results.benchmarks
    if record is None:
        return not_measured("make bench")
    rows = [row for name, part in PARTS.items() if record.get(name) for row in part(record[name])]
    rows += _solvers(results)
    machine = record.get("machine")
    words = f"\n\nOn {machine['cores']} {machine['processor']} cores, torch {machine['torch']}." if machine else ""
    return table(["What", "Measured", "Reference"], rows) + words


def _embed(record: dict[str, Any]) -> TableRows:
    if "ratio" not in record:
        return []
    setting = f"{record['images']:,} images at {record['size']} pixels, batches of {record['batch_size']}"
    ratios = f"{record['ratio']:.2f} (its default layout), {record['ratio_channels_last']:.2f} (channels last)"
    return [[f"`longway embed`: {setting}", ratios, "times the speed of the bare forward pass"]]


def _metrics(record: dict[str, Any]) -> TableRows:
    what = f"Group metrics: {record['samples']:,} samples, {record['groups']} groups"
    reference = f"{record['integers_speedup']:.0f} times as fast as a loop over groups"
    return [[what, f"{record['integers_ms']:.1f} ms", reference]]


def _memory(record: list[dict[str, Any]]) -> TableRows:
    rows = []
    for case in record:
        size = " x ".join(f"{n:,}" for n in case["shape"])
        for method, peak in case["peak_gb"].items():
            what = f"Peak memory of `{METHODS[method]}` on {size} features, {case['dtype']}, memory-mapped"
            rows.append([what, f"{peak:.2f} GB", f"limit {case['limit_gb']:g} GB"])
    return rows


def _harness(record: dict[str, Any]) -> TableRows:
    cost, two, many = record["overhead"], record["workers"], record["tabulation"]
    share, faster = f"{100 * two['overhead_share']:.1f} %", f"{two['speedup']:.2f}"
    return [
        ["`longway bench`: overhead of a trial", f"{cost['overhead_ms']:.1f} ms", "limit 50 ms"],
        ["The same, relative to heads on 6,000 x 1,280 features", share, "of the fit, limit 2 %"],
        ["Two workers, heads on 6,000 x 1,280 features", faster, "times as fast as one, aim 1.7"],
        [f"Reading and tabulating {many['trials']:,} trials", f"{many['seconds']:.1f} s", "limit 3 s"],
    ]


def _training(record: dict[str, Any]) -> TableRows:
    what = f"{record['images']:,} images at {record['size']} pixels, batches of {record['batch_size']}"
    reference = "times the speed of a bare PyTorch loop, aim 0.95"
    rows = [[f"An epoch of SITAR: {what}", f"{record['ratio']:.2f}", reference]]
    if "ratio_pythae" in record:
        reference = "times as fast as pythae's trainer, aim 1.5"
        rows.append(["An epoch of a beta-VAE on the same data", f"{record['ratio_pythae']:.2f}", reference])
    return rows


def _threads(record: dict[str, Any]) -> TableRows:
    size = " x ".join(f"{n:,}" for n in record["shape"])
    rows = []
    for work, what in (("fit", "`ERM`'s head"), ("audit", "`longway audit`")):
        times = record[work]
        both = times["one"] / times["all_and_blas"]
        reference = f"times as fast as on one; {both:.2f} if SciPy uses threads as well as torch"
        what = f"{what} of {size} features on {record['threads']} threads"
        rows.append([what, f"{times['one'] / times['all']:.2f}", reference])
    return rows


def _gpu(record: dict[str, Any]) -> TableRows:
    what = (
        f"SITAR as published, {record['images']:,} CMNIST images, {record['epochs']} epochs, on one {record['device']}"
    )
    eager, compiled = record["seconds"]["eager"], record["seconds"]["compiled"]
    return [[what, f"{compiled:.0f} s", f"limit 60 s; {eager:.0f} s without compiling"]]


PARTS: dict[str, Callable[[Any], TableRows]] = {
    "embed": _embed,
    "metrics": _metrics,
    "memory": _memory,
    "harness": _harness,
    "training": _training,
    "threads": _threads,
    "gpu": _gpu,
}
"""Rows of the table for each part of the benchmarks' record, in order."""


def _solvers(results: Results) -> list[list[str]]:
    """Return the speed of solvers relative to plain implementations."""
    rows = []
    for name, line in (results.hsfm_speed or {}).items():
        reference = "times as fast as unrolled autograd"
        rows.append([f"HSFM as published, shapes of {name}, one thread", f"{line['ratio']:.1f}", reference])
    if results.dfr:
        seeds = results.dfr["whole"]
        same = [line["ratio"] for line in seeds if line["liblinear"]["strength"] == line["longway"]["strength"]]
        apart = 100 * results.dfr["largest_difference"]
        reference = (
            f"times as fast as liblinear at its usual tolerance; {min(same):.1f} to {max(same):.1f} in the {len(same)} "
            f"of {len(seeds)} draws where both choose the same C; worst group within {apart:.2f} points of liblinear's "
            "optimum"
        )
        rows.append(["DFR, a path and 20 refits, shapes of Waterbirds", f"{results.dfr['ratio']:.1f}", reference])
    if grid := (results.benchmarks or {}).get("grid"):
        reference = (
            f"times as fast as {grid['settings']} fits; {grid['given']['ratio']:.1f} if their initial head is given"
        )
        rows.append([f"A grid of {grid['settings']} settings of AFR at once", f"{grid['own']['ratio']:.1f}", reference])
    return rows
