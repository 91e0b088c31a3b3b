"""Audit models of known guilt and write results/audit_models.json: ``python -m benchmarks.audit.models [--seeds 0,1]``.

Each model is audited on balanced data that it did not see, with the attribute as a column and without it. A model is
*guilty* if its accuracy differs by 30 points or more between values of the attribute within a class, *clean* if it was
trained on balanced data and differs by less than 10, and *between* otherwise. Constants of the verdict were set on
seeds 100 and 101, which hold fewer families, and 0 to 3; seeds 5 to 9 were audited once, after.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit.held_out import GUILTY_GAP, Trained, held_out
from longway import audit
from longway.metrics.group_metrics import wilson_interval
from longway.utils.storage import write_json

RESULTS = Path(__file__).resolve().parents[2] / "results" / "audit_models.json"
CLEAN_GAP = 0.1


def measure(case: Trained, seed: int) -> dict[str, Any]:
    """Audit a model with the attribute as a column, and without it."""
    gap = case.gap
    clean = case.strength == 0.5 and gap < CLEAN_GAP
    column = {"attribute": np.array([f"value {value}" for value in case.attribute])}
    record: dict[str, Any] = {
        "family": case.family,
        "name": case.name,
        "strength": case.strength,
        "seed": seed,
        "n": len(case.y),
        "gap": gap,
        "kind": "guilty" if gap >= GUILTY_GAP else "clean" if clean else "between",
    }
    for given, metadata in (("with_column", column), ("without_column", None)):
        found = audit(case.X, case.y, model=case.model, metadata=metadata, seed=seed)
        record[given] = found.verdict.level
        record[f"{given}_signal"] = found.verdict.signal
        record[f"{given}_seconds"] = found.seconds
    return record


def summary(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count verdicts by kind of model."""
    found: dict[str, Any] = {"models": len(records)}
    for kind in ("guilty", "between", "clean"):
        own = [each for each in records if each["kind"] == kind]
        found[kind] = {"models": len(own)}
        for given in ("with_column", "without_column"):
            strong = sum(each[given] == "strong evidence" for each in own)
            raised = sum(each[given] != "no evidence" for each in own)
            found[kind][given] = {
                "strong": strong,
                "strong_interval": [float(end) for end in wilson_interval(strong, len(own))],
                "suspicion_or_strong": raised,
                "suspicion_or_strong_interval": [float(end) for end in wilson_interval(raised, len(own))],
            }
    return found


def main() -> None:
    """Audit the models of the seeds that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="5,6,7,8,9")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    records = []
    for seed in map(int, options.seeds.split(",")):
        for case in held_out(seed):
            records.append(measure(case, seed))
            print(json.dumps(records[-1]), flush=True)
            write_json(options.out, {"summary": summary(records), "records": records})
    print(json.dumps(summary(records), indent=2))


if __name__ == "__main__":
    main()
