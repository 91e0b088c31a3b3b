"""Peak memory of a fit on features that are larger than it may take: float16, memory-mapped, of two shapes.

Each fit runs in a process of its own, whose peak resident set is read at the end; pages of the mapped file count in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SHAPES = ((1_000_000, 512), (200_000, 2_048))
LIMIT_GB = 1.0
PIECE = 10_000
METHODS: dict[str, dict[str, Any]] = {"erm": {}, "hsfm": {}}


def write_features(folder: Path, shape: tuple[int, int]) -> None:
    """Write features with a weak core and a strong shortcut, piece by piece, and their labels."""
    generator = np.random.default_rng(0)
    out = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float16, shape)
    y = generator.integers(0, 2, shape[0])
    shortcut = np.where(generator.random(shape[0]) < 0.95, y, 1 - y)
    for start in range(0, shape[0], PIECE):
        rows = slice(start, start + PIECE)
        X = generator.standard_normal((PIECE, shape[1]), np.float32)
        X[:, 0] += 3 * (2 * shortcut[rows] - 1)
        X[:, 1] += 1.5 * (2 * y[rows] - 1)
        out[rows] = X
    out.flush()
    np.save(folder / "y.npy", y)


def peak_kb() -> int:
    """Return the peak resident set of this process, in kB (Linux; getrusage would count the parent's before exec)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def fit(folder: Path, name: str) -> None:
    """Fit one method and print its peak memory, time and training accuracy as JSON."""
    import longway

    before = peak_kb()
    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
    began = time.perf_counter()
    model = longway.METHODS[name](**METHODS[name]).fit(X, y)
    seconds = time.perf_counter() - began
    peak = peak_kb()
    score = float((model.predict(X[:5000]) == y[:5000]).mean())
    print(
        json.dumps(
            {"peak_gb": peak * 1024 / 1e9, "imports_gb": before * 1024 / 1e9, "seconds": seconds, "accuracy": score}
        )
    )


def run() -> list[dict[str, Any]]:
    """Measure every method in ``METHODS`` on every shape; peak resident memory in GB (10^9 bytes)."""
    return [measure(shape) for shape in SHAPES]


def measure(shape: tuple[int, int]) -> dict[str, Any]:
    """Fit each method to features of one shape."""
    result: dict[str, Any] = {"limit_gb": LIMIT_GB, "shape": list(shape), "dtype": "float16", "peak_gb": {}}
    result |= {"seconds": {}, "imports_gb": {}, "accuracy": {}}
    with tempfile.TemporaryDirectory() as name:
        write_features(Path(name), shape)
        for method in METHODS:
            command = [sys.executable, __file__, name, method]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            record = json.loads(output)
            for figure in ("peak_gb", "imports_gb", "seconds", "accuracy"):
                result[figure][method] = round(record[figure], 3)
    return result


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fit(Path(sys.argv[1]), sys.argv[2])
    else:
        print(json.dumps(run(), indent=2))
