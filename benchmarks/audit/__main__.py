"""Audit the zoo and write results/audit.json: ``python -m benchmarks.audit [--seeds 2,3] [--out FILE]``.

Rules and weights of the verdict were set on seeds from 100; seeds 0 and 1 were audited once, before. With cleanlab
installed (`pip install cleanlab`), its check for underperforming groups stands beside the audit.

Each data set's record is kept in the cache as it is made, so that an interrupted run goes on where it stopped; records
of another code of Longway are made anew.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.audit.cache import kept
from benchmarks.audit.measure import READ, measure
from benchmarks.audit.zoo import zoo
from longway.metrics.group_metrics import wilson_interval
from longway.utils.storage import write_json

RESULTS = Path(__file__).resolve().parents[2] / "results" / "audit.json"


def records(seeds: list[int], only: str) -> list[dict[str, Any]]:
    """Return the record of every data set, from the cache where it is there."""
    folder, found = kept("audit-zoo"), []
    for seed in seeds:
        for k, case in enumerate(zoo(seed)):
            if only not in f"{case.family} {case.name}":
                continue
            path = folder / f"{seed}-{k}.json"
            if not path.is_file():
                write_json(path, measure(case, seed))
            record = json.loads(path.read_text())
            found.append(record)
            aside = " ".join(
                f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
                for name, value in record.items()
                if name in ("score", "level", "signal", "read", "seconds", "kind")
            )
            print(f"{seed} {case.family} {case.name}: {aside}", flush=True)
    return found


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the zoo."""
    planted, clean, alone = (
        [each for each in found if each["kind"] == kind] for kind in ("planted", "clean", "uncontradicted")
    )
    counted = planted + clean
    strong = [each for each in planted if each["level"] == "strong evidence"]
    false = sum(each["level"] == "strong evidence" for each in clean)
    ranked = [each["read"] >= READ for each in strong]
    precise = [each["average_precision"] for each in planted]
    return {
        "data_sets": len(found),
        "planted": len(planted),
        "clean": len(clean),
        "auroc": _area(counted),
        "auroc_by_family": {
            name: _area([each for each in counted if each["family"] == name or each["kind"] == "clean"])
            for name in sorted({each["family"] for each in planted})
        },
        "clean_called_strong": false,
        "clean_called_strong_share": false / max(len(clean), 1),
        "clean_called_strong_interval": [float(end) for end in wilson_interval(false, len(clean))],
        "planted_called_strong": len(strong),
        "planted_called_suspicion": sum(each["level"] == "suspicion" for each in planted),
        "strong_ranked_first": sum(ranked),
        "strong_ranked_first_share": float(np.mean(ranked)) if ranked else None,
        "average_precision": {name: float(np.mean([p[name] for p in precise])) for name in precise[0]}
        if precise
        else {},
        "uncontradicted": len(alone),
        "uncontradicted_told": sum(each["uncontradicted"] for each in alone),
        "cleanlab": _version(),
    }


def _version() -> str | None:
    """Return cleanlab's version; None where it is not installed, and its check was left out."""
    try:
        return version("cleanlab")
    except PackageNotFoundError:
        return None


def _area(found: list[dict[str, Any]]) -> float | None:
    truth = [each["kind"] == "planted" for each in found]
    return float(roc_auc_score(truth, [each["score"] for each in found])) if 0 < sum(truth) < len(truth) else None


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="2,3")
    parser.add_argument("--only", default="", help="part of the names of the data sets to run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    found = records([int(seed) for seed in options.seeds.split(",")], options.only)
    result = {"summary": summary(found), "records": found}
    print(json.dumps(result["summary"], indent=2))
    write_json(options.out, result)


if __name__ == "__main__":
    main()
