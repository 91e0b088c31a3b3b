"""The records under ``results/``, from which the figures are made."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Results(NamedTuple):
    """The records, each named like its file; missing ones are None."""

    demo: dict[str, Any]
    celeba: dict[str, Any] | None
    benchmarks: dict[str, Any] | None
    hsfm_inner: dict[str, Any] | None = None
    audit: dict[str, Any] | None = None
    audit_models: dict[str, Any] | None = None
    audit_fixes: dict[str, Any] | None = None
    audit_fixes_fresh: dict[str, Any] | None = None
    hsfm_speed: dict[str, Any] | None = None
    hsfm_draws: dict[str, Any] | None = None
    dfr: dict[str, Any] | None = None
    sitar_ablations: dict[str, Any] | None = None
    scores: dict[str, Any] | None = None
    lff: dict[str, Any] | None = None
    unit_tests: dict[str, Any] | None = None
    compare: Mapping[str, dict[str, Any]] = {}
    """The tables of ``longway bench run``, by the name of their plan."""
    published: Mapping[str, dict[str, Any]] = {}
    """The output of ``longway bench reproduce``, by the name of its folder."""


COMPARISONS = {"compare": "table", "published": "published"}
"""Fields that hold a record for each folder under ``results/compare/``, and the name of its file."""


def read_results(folder: Path) -> Results:
    """Read the records; only the demonstration's is required."""
    records: dict[str, Any] = {name: _read(folder / f"{name}.json") for name in Results._fields}
    for name, file in COMPARISONS.items():
        records[name] = {path.parent.name: _read(path) for path in sorted(folder.glob(f"compare/*/{file}.json"))}
    if records["demo"] is None:
        sys.exit(f"{folder / 'demo.json'} is missing: run `longway demo --quiet --json > results/demo.json`")
    return Results(**records)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
