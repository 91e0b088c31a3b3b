"""What the benchmark harness costs beside the trials that it runs.

Overhead: a run of many small trials in this process, against the seconds that fitting them took. Two workers: the same
trials of a head method, one process after another against two at once. Tabulation: 10,000 finished trials.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from longway.bench import Engine, read_plan
from longway.bench import run as run_plan
from longway.bench.output import compare_methods
from longway.bench.plan import Plan
from longway.bench.results import read_all
from longway.bench.store import Store

RIDGE = {"l2": {"low": 1e-4, "high": 1.0, "log": True}}
TRIALS, TABULATED, ROUNDS = 200, 10_000, 3


def _plan(seeds: int, draws: int, **options: Any) -> Plan:
    return read_plan(
        {
            "benchmark": [{"name": "planted", **options}],
            "method": [{"name": "erm", "space": RIDGE}],
            "seeds": seeds,
            "draws": draws,
        }
    )


def overhead(folder: Path) -> dict[str, float]:
    """Return the milliseconds that a trial costs beside its fit, prediction and saving of the model."""
    plan = _plan(4, TRIALS // 4, n=2000, n_features=64)
    run_plan(_plan(4, 1, n=2000, n_features=64), folder / "warm", Engine(jobs=1, backend="sequential", verbose=0))
    began = time.perf_counter()
    run_plan(plan, folder / "overhead", Engine(jobs=1, backend="sequential", verbose=0))
    wall = time.perf_counter() - began
    fits = _fit_seconds(folder / "overhead")
    return {"trials": TRIALS, "overhead_ms": 1000 * (wall - fits) / TRIALS, "fit_ms": 1000 * fits / TRIALS}


def _fit_seconds(folder: Path) -> float:
    """Return the seconds that all fits of a result folder took."""
    store = Store.open(folder)
    return float(sum(store.read("trials", key)["seconds"] for key in store.keys("trials")))


def workers(folder: Path) -> dict[str, float]:
    """Return how many times as fast two workers are as one, for heads on features of a backbone's size.

    ``overhead_share`` is what one process spends beside the fits, as a share of them.
    """
    plan = _plan(2, 40, n=6000, n_features=1280, n_val=1000, n_test=1000)
    seconds = {}
    for jobs in (1, 2):
        engine = Engine(jobs=jobs, backend="sequential" if jobs == 1 else "loky", verbose=0)
        run_plan(_plan(2, 1, n=6000, n_features=1280, n_val=1000, n_test=1000), folder / f"warm{jobs}", engine)
        began = time.perf_counter()
        run_plan(plan, folder / f"jobs{jobs}", engine)
        seconds[jobs] = time.perf_counter() - began
    return {
        "one_s": seconds[1],
        "two_s": seconds[2],
        "speedup": seconds[1] / seconds[2],
        "overhead_share": seconds[1] / _fit_seconds(folder / "jobs1") - 1,
        "cores": os.cpu_count() or 1,
    }


def tabulation(folder: Path) -> dict[str, float]:
    """Return the seconds that 10,000 finished trials take to read and tabulate."""
    methods, seeds = 10, 10
    draws = TABULATED // (methods * seeds)
    engine = Engine(jobs=1, backend="sequential", verbose=0)
    small = {"n": 200, "n_val": 100, "n_test": 2000}
    plan, first = (
        read_plan(
            {
                "benchmark": [{"name": "planted", **small}],
                "method": [
                    {"name": "erm", "title": f"ERM {i}", "l2": 10.0**-i, "space": WEIGHT} for i in range(methods)
                ],
                "seeds": seeds,
                "draws": number,
            }
        )
        for number in (draws, 1)
    )
    run_plan(first, folder / "many", engine)
    store = Store.open(folder / "many")
    for cell in plan.cells():
        specs = plan.trials(cell)
        record = store.read("trials", specs[0].key)
        for spec in specs[1:]:
            path = store.folder / "trials" / f"{spec.key}.json"
            path.write_text(_dumped({**record, "key": spec.key, "spec": spec.to_dict()}))
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        compare_methods(plan, folder / "many")
        seconds.append(time.perf_counter() - began)
    return {"trials": len(store.keys("trials")), "seconds": min(seconds), "results": len(read_all(plan, store)[0])}


WEIGHT = {"weight_decay": {"low": 1e-6, "high": 1e-2, "log": True}}


def _dumped(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2)


def run() -> dict[str, Any]:
    """Measure all three."""
    with tempfile.TemporaryDirectory() as name:
        before = os.environ.get("LONGWAY_CACHE")
        os.environ["LONGWAY_CACHE"] = str(Path(name) / "cache")
        try:
            folder = Path(name)
            return {"overhead": overhead(folder), "workers": workers(folder), "tabulation": tabulation(folder)}
        finally:
            if before is None:
                del os.environ["LONGWAY_CACHE"]
            else:
                os.environ["LONGWAY_CACHE"] = before
