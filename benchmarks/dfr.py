"""Speed of DFR beside the same procedure with scikit-learn's liblinear, on features shaped like those of Waterbirds.

Run with ``python -m benchmarks.dfr``; all times come from one run, with one thread, in seconds of the processor, which
other work on the machine stretches less than the clock. Writes results/dfr.json. Both take the same draws, scale
features alike and choose among the same C.
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
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from longway import DFR, evaluate_groups
from longway.data.folds import halves
from longway.data.samples import Samples
from longway.methods.dfr import group_balanced_draws

RESULTS = Path(__file__).resolve().parents[1] / "results" / "dfr.json"
SEEDS = range(5)
ALONE = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Values of C that the procedure is also timed with alone: which is chosen decides what the 20 refits cost."""
COUNTS = {"train": (3498, 184, 56, 1057), "val": (467, 466, 133, 133), "test": (2255, 2255, 642, 642)}
"""Samples of the groups (class 0 or 1, shortcut 0 or 1) of each part, as Waterbirds has them."""
LABEL, SHORTCUT = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
FEATURES, LATENT = 2048, 60
STRENGTHS = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
FREE_BIAS = 1000.0
"""Liblinear penalises the bias, divided by this; in Longway it is free. See docs/experiments/0006-dfr-solver.md."""

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
    data: dict[str, Part], seed: int, Cs: tuple[float, ...] = STRENGTHS, **options: Any
) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """Fit as published, on the draws that Longway makes: a path over C on half of the validation data, 20 refits."""
    scaler = StandardScaler().fit(data["train"][0])
    X, y, groups = scaler.transform(data["val"][0]), *data["val"][1:]
    rows = Samples(X, y, np.ones(len(y)), groups)
    generator = np.random.default_rng(check_random_state(seed).randint(2**31 - 1))

    def draws(some: Samples, number: int) -> list[np.ndarray]:
        return [np.flatnonzero(weights) for weights in group_balanced_draws(some, number, generator)]

    def fitted(strength: float, chosen: np.ndarray) -> LogisticRegression:
        solver = LogisticRegression(
            C=strength, l1_ratio=1, solver="liblinear", intercept_scaling=FREE_BIAS, random_state=0, **options
        )
        return solver.fit(X[chosen], y[chosen])

    half, other = halves(rows, 2, generator)
    drawn = half[draws(rows.take(half), 1)[0]]

    def score(strength: float) -> tuple[float, float]:
        predicted = fitted(strength, drawn).predict(X[other])
        metrics = evaluate_groups(y[other], predicted, groups[other])
        return metrics.worst_group_accuracy, metrics.balanced_accuracy

    best = max(Cs, key=score)
    heads = [fitted(best, chosen) for chosen in draws(rows, 20)]
    weight, bias = np.mean([h.coef_[0] for h in heads], 0), np.mean([h.intercept_[0] for h in heads])
    return (lambda inputs: (scaler.transform(inputs) @ weight + bias > 0).astype(int)), best


def by_liblinear_to_the_end(*given: Any) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """Do the same to a tolerance at which the choice of C no longer hangs on it."""
    return by_liblinear(*given, tol=1e-7, max_iter=10_000)


def by_longway(
    data: dict[str, Part], seed: int, Cs: tuple[float, ...] = STRENGTHS
) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    X, y, _ = data["train"]
    method = DFR(Cs=Cs, random_state=seed).fit(X, y, eval_set=data["val"])
    return method.predict, method.selection_["setting"]["C"]


PROCEDURES: dict[str, Callable[..., Any]] = {
    "liblinear": by_liblinear,
    "liblinear_to_the_end": by_liblinear_to_the_end,
    "longway": by_longway,
}


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
    total = {name: sum(line[name]["seconds"] for line in result["whole"]) for name in ("liblinear", "longway")}
    return {
        "ratio": total["liblinear"] / total["longway"],
        "largest_difference": max(abs(line["difference"]) for line in result["whole"]),
        **result,
    }


def compared(data: dict[str, Part], *given: Any) -> dict[str, Any]:
    """Return the trials, the ratio of times, and Longway's worst group less that of liblinear run to the end."""
    line: dict[str, Any] = {name: trial(procedure, data, *given) for name, procedure in PROCEDURES.items()}
    liblinear, optimum, longway = (line[name] for name in PROCEDURES)
    return {
        **line,
        "ratio": liblinear["seconds"] / longway["seconds"],
        "difference": longway["worst_group"] - optimum["worst_group"],
    }


if __name__ == "__main__":
    record = run()
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
