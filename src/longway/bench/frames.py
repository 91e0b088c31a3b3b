"""Results as pandas tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longway.bench.plan import Plan, read_plan
from longway.bench.results import FIGURES, Result, figure, read_results
from longway.bench.spec import DataSpec
from longway.bench.store import Store

if TYPE_CHECKING:
    import pandas as pd


def open_results(folder: str | Path) -> tuple[Plan, Store]:
    """Open a result folder with the plan that it ran last.

    Raises
    ------
    LongwayError
        It holds no results.
    """
    store = Store.open(folder)
    record = store.read_named("plan.json")
    return read_plan(record["plan"], str(folder), [DataSpec.from_dict(each) for each in record["data"]]), store


def read_frame(folder: str | Path) -> pd.DataFrame:
    """Read a result folder as a pandas table, see `frame`."""
    return frame(read_results(*open_results(folder)))


def frame(results: Iterable[Result]) -> pd.DataFrame:
    """Return a pandas table with one row per benchmark, protocol, method and seed.

    Returns
    -------
    DataFrame
        Every figure of every test part (``test.worst_group``, ...), each group's accuracy (``test.group NAME``), the
        parameters chosen (``parameter NAME``), how many settings were tried, the seconds of the chosen fit, and its
        caveats about what it inferred.
    """
    import pandas as pd

    return pd.DataFrame.from_records([_record(result) for result in results])


def _record(result: Result) -> dict[str, Any]:
    cell = result.cell
    record: dict[str, Any] = {
        "benchmark": cell.data.title,
        "protocol": cell.protocol.title,
        "method": cell.entry.title,
        "seed": cell.seed,
        "supervision": result.supervision,
        "caveats": "; ".join(result.record.get("caveats", ())),
        "tried": result.tried,
        "failed": result.failed,
        "seconds": result.record["seconds"],
        "trial": result.spec.key,
    }
    for part, test in result.tests.items():
        record |= {f"{part}.{name}": figure(result.tests, part, name) for name in FIGURES}
        record |= {f"{part}.group {group.name}": group.accuracy for group in test.metrics.groups or ()}
    return record | {f"parameter {name}": value for name, value in result.spec.parameters.items()}
