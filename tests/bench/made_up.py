"""Finished result folders of any size, made up in an instant."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from longway.bench.plan import Plan, read_plan
from longway.bench.records import choose, counts_of, failure
from longway.bench.search import all_trials
from longway.bench.spec import FORMAT
from longway.bench.store import Store, versions
from longway.datasets import BENCHMARKS, Benchmark, Card, Parts
from longway.metrics.group_metrics import evaluate_groups

NAMES = ["y=0, s=0", "y=0, s=1", "y=1, s=0", "y=1, s=1"]
TRAIN = {"y=0, s=0": 900, "y=0, s=1": 100, "y=1, s=0": 100, "y=1, s=1": 900}


@dataclass(frozen=True, kw_only=True)
class MadeUp(Benchmark):
    """A benchmark without data."""

    number: int = 0
    name: ClassVar[str] = "made_up"
    card: ClassVar[Card] = Card("Made up", "nothing", "nothing", "none", "none")

    def build(self, seed: int) -> Parts:
        return {}


def plan(
    methods: int = 3, seeds: int = 3, protocols: int = 1, benchmarks: int = 1, draws: int = 1, title: str = "Method"
) -> Plan:
    """Return a plan on made-up benchmarks, the methods differing by a parameter only."""
    BENCHMARKS["made_up"] = MadeUp
    known: list[dict[str, Any]] = [{"groups": "val"}, {}, {"groups": "val", "settings": "oracle"}, {"groups": "train"}]
    space = {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}}
    return read_plan(
        {
            "benchmark": [{"name": "made_up", "number": n} for n in range(benchmarks)],
            "method": [
                {"name": "erm", "title": f"{title} {m}", "epochs": m + 1, "space": space if draws > 1 else {}}
                for m in range(methods)
            ],
            "protocol": known[:protocols],
            "seeds": seeds,
            "draws": draws,
        }
    )


def fill(
    plan: Plan,
    folder: Path,
    *,
    n: int = 400,
    own_tests: bool = False,
    fails: tuple[tuple[str, int], ...] = (),
    skill: Any = lambda method, seed: 0.5 + 0.05 * method,
) -> Store:
    """Write what a run of the plan would have left.

    Parameters
    ----------
    plan : Plan
    folder : Path
    n : int
        Test samples.
    own_tests : bool
        Draw the test samples anew for each seed.
    fails : tuple of (title, seed)
        Methods of which all trials of a seed failed.
    skill : callable
        Accuracy on the two rare groups from the number of the method and the seed; on the others it is .95.
    """
    store = Store.create(folder, {data.title: data.raw for data in plan.benchmarks})
    (folder / "plan.json").write_text(
        json.dumps({"format": FORMAT, "plan": dict(plan.source), "data": [spec.to_dict() for spec in plan.benchmarks]})
    )
    versions_ = versions()
    titles = [entry.title for entry in plan.methods]
    for cell in plan.cells():
        groups = np.random.default_rng(cell.seed if own_tests else 0).integers(0, 4, n)
        data_hash = f"{cell.data.key}{cell.seed}"
        if not store.has("data", data_hash):
            _write(
                store, "data", data_hash, {"train_counts": TRAIN, "parts": {p: _about(groups) for p in ("test", "ood")}}
            )
        specs = {spec.key: spec for spec in all_trials(plan, cell, store)}
        lost = (cell.entry.title, cell.seed) in fails
        good = skill(titles.index(cell.entry.title), cell.seed)
        for key, spec in specs.items():
            generator = np.random.default_rng(int(key[:8], 16))
            record = {"key": key, "spec": spec.to_dict(), "data_hash": data_hash, "seconds": 1.5, "versions": versions_}
            outcome = (
                failure("LongwayError", "the loss is <b>NaN</b>", "trace")
                if lost
                else _done(groups, good, generator, spec)
            )
            _write(store, "trials", key, {**record, **outcome})
        records = {key: store.read("trials", key) for key in specs}
        for key in choose(cell.protocol, records):
            generator = np.random.default_rng(int(key[:8], 16) + 1)
            parts = {part: _tested(groups, good, generator) for part in ("test", "ood")}
            _write(store, "tests", key, {"key": key, "chosen_by": {}, "parts": parts})
    return store


def _write(store: Store, kind: str, key: str, record: dict[str, Any]) -> None:
    (store.folder / kind / f"{key}.json").write_text(json.dumps({"format": FORMAT, **record}, indent=2))


def _about(groups: np.ndarray) -> dict[str, Any]:
    def packed(codes: np.ndarray, names: list[str]) -> dict[str, Any]:
        return {"names": names, "codes": base64.b64encode(codes.astype("<u2").tobytes()).decode()}

    return {"groups": packed(groups, NAMES), "classes": packed(groups // 2, ["0", "1"])}


def _predicted(groups: np.ndarray, good: float, generator: np.random.Generator) -> np.ndarray:
    return generator.random(len(groups)) < np.where((groups == 1) | (groups == 2), good, 0.95)


def _counts(groups: np.ndarray, correct: np.ndarray, known: bool = True) -> dict[str, Any]:
    y = groups // 2
    return counts_of(evaluate_groups(y, np.where(correct, y, 1 - y), np.array(NAMES)[groups] if known else None))


def _done(groups: np.ndarray, good: float, generator: np.random.Generator, spec: Any) -> dict[str, Any]:
    counts = _counts(groups, _predicted(groups, good, generator), spec.groups != "none")
    supervision = {"none": "none", "val": "val_groups", "train": "train_groups"}[spec.groups]
    return {"status": "done", "supervision": supervision, "selection": {"rule": spec.selection}, "validation": counts}


def _tested(groups: np.ndarray, good: float, generator: np.random.Generator) -> dict[str, Any]:
    correct = _predicted(groups, good, generator)
    return {"counts": _counts(groups, correct), "correct": base64.b64encode(np.packbits(correct).tobytes()).decode()}
