"""Why HSFM's inner problem is whitened: heads on a convolutional net's features, with and without it.

``python benchmarks/hsfm_inner.py`` trains ERM on coloured digits (seeds on which the demonstration shows nothing),
freezes it, and retrains its head in several ways on the same balanced validation data. Writes results/hsfm_inner.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from longway import ERM, HSFM, RWG, evaluate_groups
from longway.datasets._make_digits import ColouredDigits, make_coloured_digits
from longway.demo.experiment import NETWORK
from longway.linear._whitening import Whitening, shrunk_whitening
from longway.methods._base import Method
from longway.metrics.group_metrics import summarise

RESULTS = Path(__file__).resolve().parents[1] / "results" / "hsfm_inner.json"
SEEDS = range(3)


def unchanged(correlation: torch.Tensor) -> Whitening:
    """Leave features as they are, in the place of the whitening."""
    identity = torch.eye(len(correlation))
    return Whitening(identity, identity)


VARIANTS: list[tuple[str, Method, Any]] = [
    ("HSFM, 30 inner steps, standardised only", HSFM(), unchanged),
    ("HSFM, 300 inner steps, standardised only", HSFM(inner_steps=300), unchanged),
    ("HSFM, 30 inner steps, whitened (the default)", HSFM(), shrunk_whitening),
]


def worst_group(method: Method, features: Any, data: dict[str, ColouredDigits]) -> float:
    y, groups, X = (np.concatenate([getattr(data[p], k) for p in ("test", "ood")]) for k in ("y", "groups", "X"))
    return evaluate_groups(y, method.predict(features(X)), groups).worst_group_accuracy


def run() -> dict[str, Any]:
    """Return the worst-group accuracy of each way to retrain the head, mean and standard deviation over seeds."""
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        data = make_coloured_digits(seed=seed)
        train, val, balanced = data["train"], data["val"], data["val_balanced"]
        erm = ERM(**NETWORK, random_state=seed).fit(train.X, train.y, eval_set=(val.X, val.y))
        found.setdefault("ERM", []).append(worst_group(erm, lambda X: X, data))
        F, V = erm.features(train.X), erm.features(balanced.X)
        for name, method, whitening in VARIANTS:
            with patch("longway.methods.hsfm.estimator.shrunk_whitening", whitening):
                method.set_params(random_state=seed).fit(F, train.y, eval_set=(V, balanced.y))
            found.setdefault(name, []).append(worst_group(method, erm.features, data))
        for l2 in (1e-3, 1e-1):
            known = RWG(l2=l2).fit(V, balanced.y, groups=balanced.groups)
            name = f"linear head fitted to the validation data, L2 penalty {l2:g}"
            found.setdefault(name, []).append(worst_group(known, erm.features, data))
        print(seed, {name: round(values[-1], 3) for name, values in found.items()}, flush=True)
    return {name: summarise(values)._asdict() for name, values in found.items()}


if __name__ == "__main__":
    RESULTS.write_text(json.dumps(run(), indent=2) + "\n")
    print(f"written: {RESULTS.name}")
