"""Records about heads: HSFM's inner problem, its variation, its rounding, and means over benchmarks."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import sem, t

from blocks.results import Results
from blocks.text import not_measured, points, std, table


def hsfm_inner(results: Results) -> str:
    """Return the worst group of each head in the record on HSFM's inner problem."""
    if results.hsfm_inner is None:
        return not_measured("python benchmarks/hsfm_inner.py")
    rows = [[name, std(line["mean"], line["std"])] for name, line in results.hsfm_inner.items()]
    return table(["Head", "Worst group, %"], rows)


def hsfm_draws(results: Results) -> str:
    """Return the variation of HSFM's worst group over the method's own random seeds."""
    found = results.hsfm_draws
    if found is None:
        return not_measured("python benchmarks/hsfm_draws.py")
    rows = [
        [
            name.capitalize(),
            f"{100 * found['mean'][name]:.1f}",
            f"{100 * found['std'][name]:.1f}",
            ", ".join(f"{100 * float(np.std(row, ddof=1)):.1f}" for row in fits),
            f"{100 * found['std_over_splits'][name]:.1f}",
        ]
        for name, fits in found["worst_group"].items()
    ]
    return table(["Validation data", "Worst group, %", "Std over fits", "of each split", "Std over splits"], rows)


def means(results: Results, plan: str) -> str:
    """Return each method's mean over a comparison's benchmarks, and its difference from the baseline, by seed."""
    record = results.compare.get(plan)
    if record is None:
        return not_measured("make compare", "table that belongs")
    blocks = record["blocks"]
    lines = {line["method"]: [_line(block, line["method"]) for block in blocks] for line in blocks[0]["methods"]}
    worst = {method: np.mean([line["single"] for line in of_method], 0) for method, of_method in lines.items()}
    baseline = blocks[0]["baseline"]
    rows = [
        [
            method,
            std(float(found.mean()), float(found.std(ddof=1))),
            _difference(found - worst[baseline]),
            f"{100 * float(np.mean([line['figures']['test.average']['mean'] for line in lines[method]])):.1f}",
        ]
        for method, found in sorted(worst.items(), key=lambda item: -item[1].mean())
    ]
    return table(["Method", "Worst group, %", f"Against {baseline}, points", "Average, %"], rows)


def _line(block: dict[str, Any], method: str) -> dict[str, Any]:
    """Return a method's line of a block."""
    return next(line for line in block["methods"] if line["method"] == method)


def _difference(differences: np.ndarray) -> str:
    """Return a mean difference with its 95 % interval over seeds."""
    if not differences.any():
        return "–"
    half = float(t.ppf(0.975, len(differences) - 1) * sem(differences))
    return f"{points(float(differences.mean()))} ± {100 * half:.1f}"


def hsfm_apart(results: Results) -> str:
    """Return the distance of heads from the reference's, by precision and epoch."""
    if results.hsfm_speed is None:
        return not_measured("python -m benchmarks.hsfm_speed")
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
