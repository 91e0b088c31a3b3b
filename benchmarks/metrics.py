"""Speed of the group metrics beside a Python loop over groups.

Run with ``python benchmarks/metrics.py``; all times and ratios come from one run.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from longway.metrics.group_metrics import evaluate_groups

SAMPLES, GROUPS, CLASSES = 200_000, 100, 10


def loop_over_groups(y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray) -> tuple[dict, dict]:
    """Count as most code bases do: one boolean mask for each group and each class (the reference)."""
    correct = y_true == y_pred
    by_group = {group: (int((groups == group).sum()), int(correct[groups == group].sum())) for group in set(groups)}
    by_class = {label: (int((y_true == label).sum()), int(correct[y_true == label].sum())) for label in set(y_true)}
    return by_group, by_class


def median_ms(call: Callable[[], Any], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def run(repeats: int = 15) -> dict[str, Any]:
    """Time integer, text and overlapping groups; milliseconds, medians."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, CLASSES, SAMPLES)
    y_pred = np.where(rng.random(SAMPLES) < 0.8, y_true, rng.integers(0, CLASSES, SAMPLES))
    groups = rng.integers(0, GROUPS, SAMPLES)
    overlapping = rng.random((SAMPLES, GROUPS)) < 0.05
    class_names = np.array([f"class {label}" for label in range(CLASSES)])
    group_names = np.array([f"group number {group}" for group in range(GROUPS)])
    text = class_names[y_true], class_names[y_pred], group_names[groups]
    objects = tuple(array.astype(object) for array in text)
    result: dict[str, Any] = {
        "samples": SAMPLES,
        "groups": GROUPS,
        "integers_ms": median_ms(lambda: evaluate_groups(y_true, y_pred, groups), repeats),
        "overlapping_ms": median_ms(lambda: evaluate_groups(y_true, y_pred, overlapping), repeats),
        "text_ms": median_ms(lambda: evaluate_groups(*text), repeats),
        "text_objects_ms": median_ms(lambda: evaluate_groups(*objects), repeats),
        "loop_integers_ms": median_ms(lambda: loop_over_groups(y_true, y_pred, groups), 3),
        "loop_text_ms": median_ms(lambda: loop_over_groups(*text), 3),
    }
    result["integers_speedup"] = result["loop_integers_ms"] / result["integers_ms"]
    result["text_speedup"] = result["loop_text_ms"] / result["text_ms"]
    return result


if __name__ == "__main__":
    print(json.dumps({key: round(value, 2) for key, value in run().items()}, indent=2))
