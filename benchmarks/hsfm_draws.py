"""How far HSFM's default hangs on its own chances: ten fits of each of five splits of Dominoes.

``python benchmarks/hsfm_draws.py`` takes the features of the plan ``heads`` and its first and last protocol, the latter
without group labels. A split's std is the standard deviation of the worst group over fits. Writes
results/hsfm_draws.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longway import HSFM, evaluate_groups
from longway.bench.prepared import arrays, data_spec, prepare
from longway.utils.storage import write_json

RESULTS = Path(__file__).resolve().parents[1] / "results" / "hsfm_draws.json"
SPLITS, FITS = 5, 10
VALIDATION = {"as the training data": "", "balanced over groups": "balanced"}


def run() -> dict[str, Any]:
    """Fit, and return worst groups by validation data: a row for each split, a column for each fit."""
    spec = data_spec("dominoes", {}, {"epochs": 6})
    found: dict[str, list[list[float]]] = {name: [] for name in VALIDATION}
    for split in range(SPLITS):
        data = prepare(spec, split)
        test = data.tests()["test"]
        for name, validation in VALIDATION.items():
            train, val = data.for_training(validation)
            worst = []
            for fit in range(FITS):
                head = HSFM(random_state=1000 + fit).fit(*arrays(train), eval_set=arrays(val))
                metrics = evaluate_groups(test.y, head.predict(np.asarray(test.X)), test.groups)
                worst.append(metrics.worst_group_accuracy)
            found[name].append(worst)
            print(split, name, np.round(worst, 3), flush=True)
    return {
        "benchmark": "Dominoes",
        "worst_group": found,
        "mean": {name: float(np.mean(rows)) for name, rows in found.items()},
        "std": {name: float(np.mean(np.std(rows, 1, ddof=1))) for name, rows in found.items()},
        "std_over_splits": {name: float(np.std(np.mean(rows, 1), ddof=1)) for name, rows in found.items()},
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    record = run()
    write_json(RESULTS, record)
    print(json.dumps({name: record[name] for name in ("mean", "std")}, indent=2))
