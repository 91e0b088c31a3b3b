"""Reader of result folders: the selected trial of each cell and its test metrics."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from longway.bench.plan import Cell, Plan
from longway.bench.prepared import benchmark_class
from longway.bench.protocol import ORACLE
from longway.bench.records import choose, metrics_of
from longway.bench.search import all_trials
from longway.bench.spec import TrialSpec
from longway.bench.store import Store
from longway.metrics.group_metrics import GroupMetrics
from longway.utils.errors import CorruptFileError, LongwayError

FIGURES: dict[str, Callable[[GroupMetrics], float]] = {
    "worst_group": lambda m: m.worst_group_accuracy,
    "average": lambda m: m.average_accuracy,
    "reweighted_average": lambda m: m.reweighted_average_accuracy,
    "balanced": lambda m: m.balanced_accuracy,
    "worst_class": lambda m: m.worst_class_accuracy,
}
"""Metrics of a test part that a table can show, by name."""


@dataclass(frozen=True)
class Test:
    """The metrics of one fit on one test part.

    Parameters
    ----------
    metrics : GroupMetrics
    correct : ndarray of bool of shape (n,)
        Which samples were predicted correctly.
    groups : ndarray of int of shape (n,)
        Group of each sample; its class where no groups are known.
    classes : ndarray of int of shape (n,)
        Class of each sample.
    """

    __test__: ClassVar[bool] = False  # nothing for pytest to collect

    metrics: GroupMetrics
    correct: np.ndarray
    groups: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Result:
    """A finished cell of a comparison: the selected trial and its test.

    Parameters
    ----------
    cell : Cell
    spec : TrialSpec
    record : dict
        Of the trial.
    tests : dict of str to Test
        By part.
    tried, failed : int
        Trials that ended, and those among them that ended with an error.
    """

    cell: Cell
    spec: TrialSpec
    record: Mapping[str, Any]
    tests: Mapping[str, Test]
    tried: int
    failed: int

    @property
    def supervision(self) -> str:
        """The group labels that the fit used, or that chose its settings."""
        used = str(self.record["supervision"])
        if self.cell.protocol.settings == ORACLE:
            return ORACLE
        rule, groups = self.cell.protocol.settings, self.cell.protocol.groups
        if used == "none" and rule == "worst_group" and groups != "infer" and self.tried > 1:
            return "val_groups"
        return used


def metric_of(cell: Cell, tests: Mapping[str, Test]) -> tuple[str, str]:
    """Return the main test part and metric of a benchmark.

    Where there is no such part it is the test, and the worst class where no groups are known.
    """
    part, name = benchmark_class(cell.data.benchmark).card.metric
    part = part if part in tests else "test"
    return part, "worst_class" if name == "worst_group" and tests[part].metrics.groups is None else name


def figure(tests: Mapping[str, Test], part: str, name: str) -> float:
    """Return a metric of a test part; NaN if undefined, such as a worst group without groups.

    Raises
    ------
    LongwayError
        There is no such part.
    """
    if part not in tests:
        raise LongwayError(f"there is no test part {part!r}; there are {', '.join(tests)}")
    try:
        return float(FIGURES[name](tests[part].metrics))
    except LongwayError:
        return float("nan")


class Reader:
    """Reads records, and the groups of test data once for all trials."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._data: dict[str, dict[str, Any]] = {}

    def tests(self, key: str, data_hash: str) -> dict[str, Test]:
        """Return the test parts of a trial.

        Raises
        ------
        CorruptFileError
            A record does not fit the data that it is about.
        """
        try:
            return self._tests(key, data_hash)
        except CorruptFileError:
            raise
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise CorruptFileError(f"the test of trial {key} is damaged: delete its file in tests/") from error

    def _tests(self, key: str, data_hash: str) -> dict[str, Test]:
        about = self._about(data_hash)
        parts = self.store.read("tests", key)["parts"]
        if parts.keys() != about["parts"].keys():
            raise CorruptFileError(f"the test of trial {key} has other parts than its data: delete its file in tests/")
        tests = {}
        for name, part in parts.items():
            classes = about["parts"][name]["classes"]
            groups = about["parts"][name].get("groups", classes)
            bits = np.frombuffer(base64.b64decode(part["correct"]), np.uint8)
            if len(bits) != -(-len(groups) // 8):
                raise CorruptFileError(f"the test of trial {key} is of other data: delete its file in tests/")
            correct = np.unpackbits(bits, count=len(groups)).astype(bool)
            tests[name] = Test(metrics_of(part["counts"], about["train_counts"]), correct, groups, classes)
        return tests

    def _about(self, data_hash: str) -> dict[str, Any]:
        if data_hash not in self._data:
            record = self.store.read("data", data_hash)
            for part in record["parts"].values():
                for kind, packed in part.items():
                    part[kind] = np.frombuffer(base64.b64decode(packed["codes"]), "<u2")
            self._data[data_hash] = record
        return self._data[data_hash]


Failed = list[tuple[Cell, Mapping[str, Any]]]
"""Trials that ended with an error: their cells and records."""


def read_all(plan: Plan, store: Store) -> tuple[list[Result], Failed]:
    """Return every finished cell of a plan, in the plan's order, and the trials that ended with an error.

    Raises
    ------
    CorruptFileError
        A record is damaged.
    """
    reader = Reader(store)
    present, tested = store.keys("trials"), store.keys("tests")
    results: list[Result] = []
    lost: Failed = []
    for cell in plan.cells():
        specs = {spec.key: spec for spec in all_trials(plan, cell, store)}
        records = {key: store.read("trials", key) for key in specs if key in present}
        failed = [(cell, record) for record in records.values() if record["status"] == "failed"]
        lost += failed
        chosen = [key for key in choose(cell.protocol, records) if key in tested]
        if not chosen:
            continue
        tests = {key: reader.tests(key, records[key]["data_hash"]) for key in chosen}
        part, name = metric_of(cell, tests[chosen[0]])
        best = max(chosen, key=lambda key: figure(tests[key], part, name))  # one, but under the oracle
        results.append(Result(cell, specs[best], records[best], tests[best], len(records), len(failed)))
    return results, lost


def read_results(plan: Plan, store: Store) -> list[Result]:
    """Return every finished cell of a plan, in the plan's order."""
    return read_all(plan, store)[0]


def failures(plan: Plan, store: Store) -> Failed:
    """Return the trials that ended with an error, with their cells."""
    return read_all(plan, store)[1]
