"""How far reliance on a shortcut falls after a fix: ``python -m benchmarks.audit.fixes [--seeds 2,3] [--only PART]``.

Of each planted data set that the audit calls strong evidence, a head is fitted on one half and judged on the other, and
the other way round. Reliance is what swapping the true attribute does to the predicted probability: an input is moved
by the difference that the attribute makes within classes, measured on the half that judges. Heads are an ordinary one
and those that balance groups, the audit's or the true ones; the latter show what the audit's groups cost.

Writes results/audit_fixes.json. Each record is kept in the cache as it is made.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit.cache import kept
from benchmarks.audit.zoo import Case, zoo
from longway import ERM, RWG, SUBG, audit
from longway.auditing.probes import stratified_halves
from longway.utils.storage import write_json

RESULTS = Path(__file__).resolve().parents[2] / "results" / "audit_fixes.json"
FLOOR = 0.01
"""A change of the predicted probability that counts as none, so that a ratio means something."""
AIM = 5.0


def measure(case: Case, seed: int) -> dict[str, Any] | None:
    """Return the reliance and the worst group of each head; None where the audit does not call the set strong."""
    X, y, attribute = case.build()
    y = np.unique(y, return_inverse=True)[1]
    assert attribute is not None
    found = audit(X, y, seed=seed)
    if found.verdict.level != "strong evidence":
        return None
    true = 2 * y + attribute.astype(np.int64)
    first = found.candidates[0].name
    own, confident = found.pseudo_groups(first), found.confident(first)
    everyone = np.ones(len(y), bool)
    halves = stratified_halves(true, np.random.default_rng(seed))
    heads = {"erm": (ERM(), own, everyone), "rwg": (RWG(), own, confident), "subg": (SUBG(), own, confident)}
    heads["subg, all rows"] = (SUBG(), own, everyone)
    heads |= {"rwg, true groups": (RWG(), true, everyone), "subg, true groups": (SUBG(), true, everyone)}
    record: dict[str, Any] = {"family": case.family, "name": case.name, "seed": seed, "shape": list(X.shape)}
    record["smallest_group"] = int(np.bincount(true).min())
    record["heads"] = {}
    for name, (method, groups, weight) in heads.items():
        ways = []
        for fitted, judged in (halves, halves[::-1]):
            method.fit(X[fitted], y[fitted], groups=groups[fitted], sample_weight=weight[fitted])
            ways.append(_judged(method, X[judged], y[judged], attribute[judged]))
        reliance, worst = (float(np.mean(values)) for values in zip(*ways, strict=True))
        record["heads"][name] = {"reliance": reliance, "halves": [way[0] for way in ways], "worst_group": worst}
    return record


def _judged(method: Any, X: np.ndarray, y: np.ndarray, attribute: np.ndarray) -> tuple[float, float]:
    """Return what the attribute does to the probability of class 1, and the worst group's accuracy."""
    means = [[X[(y == code) & (attribute == value)].mean(0) for value in (0, 1)] for code in (0, 1)]
    step = np.mean([there - lacking for lacking, there in means], 0)
    turn = np.where(attribute == 1, -1, 1)
    before, after = (method.predict_proba(rows.astype(X.dtype))[:, 1] for rows in (X, X + turn[:, None] * step))
    right = method.predict(X) == y
    worst = min(right[(y == code) & (attribute == value)].mean() for code in (0, 1) for value in (0, 1))
    return float((turn * (after - before)).mean()), float(worst)


def times_less(record: dict[str, Any], head: str) -> float:
    """Return how many times less a head relies on the attribute than the ordinary one."""
    before, after = (abs(record["heads"][name]["reliance"]) for name in ("erm", head))
    return float(before / max(after, FLOOR))


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians, the share that reaches the aim, and the same for each family."""
    heads = [name for name in found[0]["heads"] if name != "erm"] if found else []
    families = sorted({each["family"] for each in found})
    return {
        "data_sets": len(found),
        "aim": AIM,
        "heads": {name: _figures(found, name) for name in heads},
        "families": {
            family: {
                "data_sets": sum(each["family"] == family for each in found),
                "heads": {name: _figures([e for e in found if e["family"] == family], name) for name in heads},
                "worst_group_before": _mean([e for e in found if e["family"] == family], "erm"),
                "reliance_before": float(
                    np.median([abs(e["heads"]["erm"]["reliance"]) for e in found if e["family"] == family])
                ),
            }
            for family in families
        },
        "worst_group_before": _mean(found, "erm"),
    }


def _figures(found: list[dict[str, Any]], head: str) -> dict[str, float]:
    ratios = [times_less(each, head) for each in found]
    return {
        "times_less_median": float(np.median(ratios)),
        "reached": sum(ratio >= AIM for ratio in ratios),
        "worst_group": _mean(found, head),
    }


def _mean(found: list[dict[str, Any]], head: str) -> float:
    return float(np.mean([each["heads"][head]["worst_group"] for each in found]))


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="2,3")
    parser.add_argument("--only", default="", help="part of the names of the data sets to run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    folder, found = kept("audit-fixes"), []
    for seed in (int(each) for each in options.seeds.split(",")):
        for k, case in enumerate(zoo(seed)):
            two = "three classes" not in case.name
            if case.kind != "planted" or not two or options.only not in f"{case.family} {case.name}":
                continue
            path = folder / f"{seed}-{k}.json"
            if not path.is_file():
                write_json(path, {"record": measure(case, seed)})
            record = json.loads(path.read_text())["record"]
            if record is None:
                continue
            found.append(record)
            said = "  ".join(f"{name} {each['reliance']:+.3f}" for name, each in record["heads"].items())
            print(f"{seed} {case.family} {case.name}: {said}", flush=True)
    result = {"summary": summary(found), "records": found}
    print(json.dumps(result["summary"], indent=2))
    write_json(options.out, result)


if __name__ == "__main__":
    main()
