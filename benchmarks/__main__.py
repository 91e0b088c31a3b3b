"""Run every benchmark and write its figures to results/benchmarks.json: ``python -m benchmarks [NAME ...]``."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path

import torch

NAMES = ("metrics", "embed", "memory", "harness", "training", "grid", "threads", "audit_size", "gpu")
RESULTS = Path(__file__).resolve().parents[1] / "results" / "benchmarks.json"


def main(chosen: list[str]) -> None:
    """Run the chosen benchmarks, all if none is named, and merge their figures into the results."""
    unknown = set(chosen) - set(NAMES)
    if unknown:
        sys.exit(f"unknown benchmark {', '.join(sorted(unknown))}; known are {', '.join(NAMES)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    before = dict(results)
    for name in chosen or NAMES:
        print(f"{name} ...", flush=True)
        found = import_module(f"benchmarks.{name}").run()
        if found is None:
            print(f"{name}: cannot be measured on this machine", flush=True)
            continue
        results[name] = found
        print(json.dumps(found, indent=2), flush=True)
    if results == before:
        return
    results["machine"] = {"cores": os.cpu_count(), "processor": platform.machine(), "torch": torch.__version__}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
