"""How long an audit takes, and how much memory, by the number of rows; features are memory-mapped, float16.

Each audit runs in a process of its own, whose peak resident set is read at the end; pages of the mapped file count in
it. The audit looks at all rows of the smaller sets, and at the default 10,000 of the largest, all of which it reads
once, for copies.
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

from benchmarks.memory import peak_kb

WIDE = (10_000, 1_280)
"""Rows and features of an encoder's size."""
WIDE_LIMIT_S = 60.0
ROWS, LARGEST, FEATURES = (10_000, 30_000, 100_000, 300_000), 1_000_000, 128
PIECE, DIMENSIONS = 10_000, 100


def write_features(folder: Path, n: int, d: int) -> None:
    """Write features of a falling spectrum with a core and a shortcut, piece by piece, and their labels."""
    generator = np.random.default_rng(0)
    out = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float16, (n, d))
    y = generator.integers(0, 2, n)
    shortcut = np.where(generator.random(n) < 0.9, y, 1 - y)
    turn = np.linalg.qr(generator.standard_normal((d, DIMENSIONS)))[0].T.astype(np.float32)
    scale = np.linspace(2, 0.1, DIMENSIONS, dtype=np.float32)
    for start in range(0, n, PIECE):
        rows = slice(start, start + PIECE)
        hidden = generator.standard_normal((PIECE, DIMENSIONS), np.float32) * scale
        hidden[:, 0] += 5 * (2 * shortcut[rows] - 1)
        hidden[:, 1] += 3 * (2 * y[rows] - 1)
        out[rows] = hidden @ turn + 0.05 * generator.standard_normal((PIECE, d), np.float32)
    out.flush()
    np.save(folder / "y.npy", y)


def audit(folder: Path, max_rows: int) -> None:
    """Audit the features and print time, peak memory and verdict as JSON."""
    from longway.auditing import audit

    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
    before, began = peak_kb(), time.perf_counter()
    found = audit(X, y, max_rows=max_rows)
    seconds = time.perf_counter() - began
    gigabytes = {"imports_gb": before, "peak_gb": peak_kb()}
    record = {name: round(kilobytes * 1024 / 1e9, 3) for name, kilobytes in gigabytes.items()}
    print(json.dumps({"rows": found.n, "seconds": round(seconds, 2), **record, "level": found.verdict.level}))


def measured(n: int, d: int, max_rows: int) -> dict[str, Any]:
    """Return what an audit of n rows costs."""
    with tempfile.TemporaryDirectory() as name:
        write_features(Path(name), n, d)
        command = [sys.executable, "-m", "benchmarks.audit_size", name, str(max_rows)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"given": n, "features": d, "file_gb": round(2 * n * d / 1e9, 3), **json.loads(output)}


def run() -> dict[str, Any]:
    """Measure an encoder's features, more and more rows, and a million of them."""
    return {
        "limit_s": WIDE_LIMIT_S,
        "wide": measured(*WIDE, max_rows=WIDE[0]),
        "all_rows": [measured(n, FEATURES, max_rows=n) for n in ROWS],
        "largest": measured(LARGEST, FEATURES, max_rows=10_000),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        audit(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        print(json.dumps(run(), indent=2))
