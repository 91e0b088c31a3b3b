"""Speed of DFR beside the same procedure with scikit-learn's liblinear, on features shaped like those of Waterbirds.

Run with ``python -m benchmarks.dfr``; all times come from one run, with one thread, in seconds of the processor, which
other work on the machine stretches less than the clock. Writes results/dfr.json.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from longway import DFR, evaluate_groups

RESULTS = Path(__file__).resolve().parents[1] / "results" / "dfr.json"
SEEDS = range(2)
ALONE = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Values of C that the procedure is also timed with alone: which is chosen decides what the 20 refits cost."""
COUNTS = {"train": (3498, 184, 56, 1057), "val": (467, 466, 133, 133), "test": (2255, 2255, 642, 642)}
"""Samples of the groups (class 0 or 1, shortcut 0 or 1) of each part, as Waterbirds has them."""
LABEL, SHORTCUT = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
FEATURES, LATENT = 2048, 60
STRENGTHS = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)

Part = tuple[np.ndarray, np.ndarray, np.ndarray]


def features(seed: int, core: float = 1.3, shortcut: float = 2.5, noise: float = 0.7) -> dict[str, Part]:
    """Draw rectified random mixtures of latent factors, one of which is the core and one the shortcut."""
    rng = np.random.default_rng(seed)
    mixture = rng.normal(size=(LATENT, FEATURES)) / np.sqrt(LATENT)
    parts = {}
    for part, counts in COUNTS.items():
        groups = rng.permutation(np.repeat(np.arange(4), counts))
        latent = rng.normal(size=(len(groups), LATENT))
        latent[:, 0] += core * (2 * LABEL[groups] - 1)
        latent[:, 1] += shortcut * (2 * SHORTCUT[groups] - 1)
        X = np.maximum(latent @ mixture + noise * rng.normal(size=(len(groups), FEATURES)), 0)
        parts[part] = X.astype(np.float32), LABEL[groups], groups
    return parts


def by_liblinear(
    data: dict[str, Part], seed: int, strengths: tuple[float, ...] = STRENGTHS
) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """Fit as published: a path over C on half of the validation data, and 20 refits (the reference)."""
    rng = np.random.default_rng(seed)
    scaler = StandardScaler().fit(data["train"][0])
    X, y, groups = scaler.transform(data["val"][0]), *data["val"][1:]

    def balanced(rows: np.ndarray) -> np.ndarray:
        members = [rows[groups[rows] == group] for group in range(4)]
        return np.concatenate([rng.permutation(some)[: min(map(len, members))] for some in members])

    def fitted(strength: float, rows: np.ndarray) -> LogisticRegression:
        # The scaling all but frees the bias, which liblinear would penalise and Longway does not.
        solver = LogisticRegression(C=strength, l1_ratio=1, solver="liblinear", intercept_scaling=30)
        return solver.fit(X[rows], y[rows])

    order = rng.permutation(len(y))
    half, other = order[: len(order) // 2], order[len(order) // 2 :]
    drawn = balanced(half)

    def score(strength: float) -> float:
        predicted = fitted(strength, drawn).predict(X[other])
        return evaluate_groups(y[other], predicted, groups[other]).worst_group_accuracy

    best = max(strengths, key=score)
    heads = [fitted(best, balanced(np.arange(len(y)))) for _ in range(20)]
    weight, bias = np.mean([h.coef_[0] for h in heads], 0), np.mean([h.intercept_[0] for h in heads])
    return (lambda inputs: (scaler.transform(inputs) @ weight + bias > 0).astype(int)), best


def by_longway(
    data: dict[str, Part], seed: int, strengths: tuple[float, ...] = STRENGTHS
) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    X, y, _ = data["train"]
    method = DFR(strengths=strengths, random_state=seed).fit(X, y, eval_set=data["val"])
    return method.predict, method.selection_["setting"]["C"]


def trial(procedure: Callable[..., Any], data: dict[str, Part], *given: Any) -> dict[str, float]:
    """Return the seconds of one procedure, the C that it chose, and its worst-group accuracy."""
    start = time.process_time()
    predict, strength = procedure(data, *given)
    seconds = time.process_time() - start
    X, y, groups = data["test"]
    worst = evaluate_groups(y, predict(X), groups).worst_group_accuracy
    return {"seconds": seconds, "strength": strength, "worst_group": float(worst)}


def run() -> dict[str, Any]:
    """Time both over seeds, then with each C alone; the ratio is liblinear's seconds over ours."""
    torch.set_num_threads(1)
    result: dict[str, Any] = {"whole": [], "alone": []}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_longway({part: (X[:400], y[:400], g[:400]) for part, (X, y, g) in features(99).items()}, 0)  # warm up
        for seed in SEEDS:
            data = features(seed)
            result["whole"].append(compared(data, seed))
        for strength in ALONE:
            result["alone"].append({"C": strength, **compared(data, seed, (strength,))})
    return result


def compared(data: dict[str, Part], *given: Any) -> dict[str, Any]:
    line: dict[str, Any] = {
        name: trial(procedure, data, *given)
        for name, procedure in (("liblinear", by_liblinear), ("longway", by_longway))
    }
    return {**line, "ratio": line["liblinear"]["seconds"] / line["longway"]["seconds"]}


if __name__ == "__main__":
    record = run()
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
