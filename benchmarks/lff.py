"""LfF's published setting on ten digits in ten colours: which epoch is kept.

    LONGWAY_DATA=... python benchmarks/lff.py    # results/lff.json; a few minutes on one core

MNIST at 14 x 14 pixels, 10,000 training and 2,000 validation images; the colour is that of the digit, but for 5 or 2 %
of the images, whose colour is another one. Told is the accuracy on test images whose colour is another one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from longway import LfF

RESULT = Path(__file__).resolve().parents[1] / "results" / "lff.json"
INKS = np.array(
    [[int(b) for b in f"{k:03b}"] for k in range(1, 8)] + [[1, 0.5, 0], [0.5, 0, 1], [0, 1, 0.5]], np.float32
)
EPOCHS, SEEDS = 40, range(3)
RULES: dict[str, dict[str, Any]] = {"last": {}, "worst_class": {"selection": "worst_class"}}


def coloured(
    images: np.ndarray, y: np.ndarray, conflicting: float, generator: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Return coloured digits (n, 588) and whether the colour is not that of the digit."""
    conflicts = generator.random(len(y)) < conflicting
    colour = np.where(conflicts, (y + generator.integers(1, 10, len(y))) % 10, y)
    grey = images[:, ::2, ::2].astype(np.float32) / 255
    X = (grey[:, None] * INKS[colour][:, :, None, None]).reshape(len(y), -1)
    return X, y, conflicts


def accuracy(seed: int, conflicting: float, **changes: Any) -> float:
    """Return the accuracy on test images whose colour is not that of the digit."""
    raw = np.load(Path(os.environ["LONGWAY_DATA"]) / "mnist.npz")
    images, y = raw["x_train"], raw["y_train"].astype(np.int64)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(images))[:15_000]
    parts = np.split(order, [10_000, 12_000])
    shares = (conflicting, conflicting, 0.9)
    train, val, test = (
        coloured(images[rows], y[rows], share, generator) for rows, share in zip(parts, shares, strict=True)
    )
    method = LfF.from_paper("cmnist", epochs=EPOCHS, random_state=seed, device="cpu", **changes)
    method.fit(*train[:2], eval_set=val[:2])
    X, labels, conflicts = test
    return float(np.mean(method.predict(X[conflicts]) == labels[conflicts]))


def main() -> None:
    """Run the published rule and selection on data that hold the shortcut, and write both."""
    results: dict[str, dict[str, float]] = {}
    for conflicting in (0.05, 0.02):
        for name, changes in RULES.items():
            runs = [accuracy(seed, conflicting, **changes) for seed in SEEDS]
            results[f"{conflicting:g} {name}"] = {
                "mean": round(float(np.mean(runs)), 3),
                "std": round(float(np.std(runs)), 3),
            }
            print(conflicting, name, np.round(runs, 3), flush=True)
    RESULT.write_text(json.dumps({"epochs": EPOCHS, "accuracy": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
