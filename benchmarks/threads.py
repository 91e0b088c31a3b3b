"""What the second thread gives to a head and to an audit, and what it costs where two libraries' threads spin.

Each number of threads runs in a process of its own, once as Longway sets them and once with threads for SciPy's linear
algebra as well; the least of a few runs counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.audit_size import write_features

SHAPE = (10_000, 128)
RUNS = 3


def measure(folder: Path, limited: bool) -> None:
    """Time a fit and an audit of the features in the folder; print the seconds as JSON."""
    from longway import ERM, audit

    X, y = np.load(folder / "X.npy").astype(np.float32), np.load(folder / "y.npy")
    work: dict[str, Callable[[], Any]] = {"fit": lambda: ERM().fit(X, y), "audit": lambda: audit(X, y, max_rows=len(X))}
    seconds = {}
    with nullcontext() if limited else patch("longway.linear._minimize.one_blas_thread", nullcontext):
        for name, what in work.items():
            times = []
            for _ in range(RUNS):
                began = time.perf_counter()
                what()
                times.append(time.perf_counter() - began)
            seconds[name] = min(times)
    print(json.dumps(seconds))


def run() -> dict[str, Any]:
    """Measure with one thread, with all, and with all where SciPy has its own as well."""
    cores = os.cpu_count() or 1
    ways = {"one": (1, True), "all": (cores, True), "all_and_blas": (cores, False)}
    with tempfile.TemporaryDirectory() as folder:
        write_features(Path(folder), *SHAPE)
        seconds = {name: _in_process(folder, threads, limited) for name, (threads, limited) in ways.items()}
    return {
        "shape": list(SHAPE),
        "threads": cores,
        **{work: {way: round(each[work], 4) for way, each in seconds.items()} for work in ("fit", "audit")},
    }


def _in_process(folder: str, threads: int, limited: bool) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "benchmarks.threads", folder, str(int(limited))]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(output)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]), sys.argv[2] == "1")
    else:
        print(json.dumps(run(), indent=2))
