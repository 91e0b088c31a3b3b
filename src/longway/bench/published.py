"""Numbers reported by papers, as data, and plans that reproduce them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from longway.bench.overrides import overridden
from longway.bench.plan import Plan, read_plan
from longway.bench.prepared import benchmark_class
from longway.bench.results import Result, figure
from longway.bench.statistics import DIGITS
from longway.methods import METHODS
from longway.metrics.group_metrics import Summary, summarise
from longway.utils.errors import LongwayError, nearest

ANY = ("folder", "backbone", "size", "mean", "std", "split", "n_train", "n_val", "n_test")
"""Options of a benchmark that do not make published numbers incomparable."""

AVERAGES = {"average": "raw average", "reweighted_average": "average weighted by training proportions"}


class Number(NamedTuple):
    """A published number, in [0, 1].

    Parameters
    ----------
    mean : float
    std : float or None
        As printed; None where none is.
    """

    mean: float
    std: float | None = None


@dataclass(frozen=True)
class Published:
    """One row of a published table.

    Parameters
    ----------
    method : str
        Name in `longway.METHODS`, or empty.
    title : str
        As printed.
    benchmark : str
    options : mapping
        Of the benchmark.
    figures : mapping of str to Number
        By part and figure, such as "test.worst_group".
    source, backbone, protocol : str
    plan : str
        Name of the plan that reproduces the table, or empty.
    """

    method: str
    title: str
    benchmark: str
    options: Mapping[str, Any]
    figures: Mapping[str, Number]
    source: str
    backbone: str
    protocol: str
    plan: str

    @property
    def average(self) -> str:
        """The average that a source reports, in words; empty if it reports none."""
        names = [name.split(".")[1] for name in self.figures]
        return next((AVERAGES[name] for name in names if name in AVERAGES), "")

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON types."""
        return {
            "title": self.title,
            "figures": {name: list(number) for name, number in self.figures.items()},
            "source": self.source,
            "backbone": self.backbone,
            "average": self.average,
            "protocol": self.protocol,
        }


@cache
def published() -> tuple[Published, ...]:
    """Return all published numbers."""
    text = files("longway.bench").joinpath("published.toml").read_text(encoding="utf-8")
    return tuple(row for table in tomllib.loads(text)["table"] for row in _rows(table))


def _rows(table: Mapping[str, Any]) -> list[Published]:
    rows = []
    for title, (method, *numbers) in table["rows"].items():
        found = dict(zip(table["columns"], numbers, strict=True))
        figures = {name: _number(value) for name, value in found.items() if value != []}
        about = (table["benchmark"], table.get("options", {}), figures)
        where = (table["source"], table["backbone"], table["protocol"], table.get("plan", ""))
        rows.append(Published(method, title, *about, *where))
    return rows


def _number(value: float | list[float]) -> Number:
    parts = [round(each / 100, 6) for each in (value if isinstance(value, list) else [value])]
    return Number(*parts)


def find_published(benchmark: str, options: Mapping[str, Any], method: str) -> list[Published]:
    """Return the published numbers of a method on a benchmark.

    Parameters
    ----------
    benchmark : str
        Name in the catalogue.
    options : mapping
        Of the benchmark. Those that change the task must be the published ones; a backbone, an image size, a split or
        a number of samples may be any, so look at what the numbers say of theirs.
    method : str
        Name in `longway.METHODS`.
    """
    rows = [row for row in published() if row.benchmark == benchmark and row.method == method.lower()]
    return [row for row in rows if _same_task(row, options)]


def _same_task(row: Published, options: Mapping[str, Any]) -> bool:
    wanted = {**_defaults(row.benchmark), **row.options}
    return all(options.get(name, value) == value for name, value in wanted.items() if name not in ANY)


def _defaults(benchmark: str) -> dict[str, Any]:
    return benchmark_class(benchmark).with_options({}).options()


def plan_names() -> list[str]:
    """Return the names of the plans that reproduce published tables."""
    folder = files("longway.bench").joinpath("plans")
    return sorted(entry.name[: -len(".toml")] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def plan_text(name: str) -> str:
    """Return the text of a plan.

    Raises
    ------
    LongwayError
        There is none of that name.
    """
    if name not in plan_names():
        raise LongwayError(f"there is no plan {name!r}; {nearest(name, plan_names())}")
    return files("longway.bench").joinpath("plans", f"{name}.toml").read_text(encoding="utf-8")


def reproduction(
    name: str,
    options: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    **values: Any,
) -> Plan:
    """Return the plan that reproduces a published table, with the rows that Longway's methods can run.

    Parameters
    ----------
    name : str
    options, parameters : mapping, optional
        To run it with instead, as `longway.bench.overrides.overridden` takes them.
    **values
        Of the plan itself, such as ``seeds``.

    Raises
    ------
    LongwayError
        There is none of that name, its raw data are missing, or a change is of nothing that it has.
    """
    record = {**tomllib.loads(plan_text(name)), **values}
    return read_plan(overridden(record, options, parameters), f"plan {name}")


class Setting(NamedTuple):
    """The settings of one of our own results.

    Parameters
    ----------
    samples : int or None
        Training samples of its first seed; None where they are not known.
    options : mapping
        Of the benchmark, those that differ from the published table's.
    features : mapping or None
        Parameters of the ERM network whose features stand for the images; None where none does.
    paper : str
        Name of the published setting of the method's parameters, if any.
    parameters : mapping
        Of the method, those that differ from that setting, or from the defaults.
    protocol : str
    seeds : tuple of int
    """

    samples: int | None
    options: Mapping[str, Any]
    features: Mapping[str, Any] | None
    paper: str
    parameters: Mapping[str, Any]
    protocol: str
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, line: Sequence[Result], published: Published) -> Setting:
        """Return the settings of one method's results on one benchmark under one protocol."""
        cell = line[0].cell
        groups = next(iter(line[0].tests.values())).metrics.groups or ()
        samples = sum(group.train_n or 0 for group in groups) or None
        theirs = {**_defaults(cell.data.benchmark), **published.options}
        options = {name: value for name, value in cell.data.options.items() if value != theirs.get(name)}
        setting = METHODS[cell.entry.method].published.get(cell.entry.paper, {})
        changed = {k: v for k, v in cell.entry.parameters.items() if k not in setting or setting[k] != v}
        seeds = tuple(result.cell.seed for result in line)
        about = (samples, options, cell.data.features, cell.entry.paper, changed)
        return cls(*about, cell.protocol.title, seeds)


class Pair(NamedTuple):
    """One published number next to ours.

    Parameters
    ----------
    benchmark, protocol, method : str
        Titles; the protocol and the method ours.
    printed : str
        What the paper calls the method.
    figure : str
        Such as "test.worst_group".
    theirs : Number
    ours : Summary or None
        None where the method was not run.
    seeds : int
    published : Published
        Whose number it is.
    setting : Setting or None
        What ours was run with.
    """

    benchmark: str
    protocol: str
    method: str
    printed: str
    figure: str
    theirs: Number
    ours: Summary | None
    seeds: int
    published: Published
    setting: Setting | None = None

    @property
    def difference(self) -> float | None:
        """Our number minus the published one."""
        return None if self.ours is None else round(self.ours.mean - self.theirs.mean, DIGITS)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON has them."""
        ours = None if self.ours is None else [self.ours.mean, None if self.seeds < 2 else self.ours.std]
        return {
            **{name: getattr(self, name) for name in ("benchmark", "protocol", "method", "printed", "figure", "seeds")},
            "theirs": list(self.theirs),
            "ours": ours,
            "difference": self.difference,
            **{name: getattr(self.published, name) for name in ("source", "backbone")},
            "their_protocol": self.published.protocol,
            "setting": None if self.setting is None else self.setting._asdict(),
        }


def compare(results: Sequence[Result], name: str) -> list[Pair]:
    """Match published numbers with ours.

    Parameters
    ----------
    results : sequence of Result
    name : str
        Of the plan, whose tables are meant.

    Returns
    -------
    list of Pair
        One for each published figure and each line of ours with the same method; lines that were not run last.

    Raises
    ------
    LongwayError
        There is no plan of that name.
    """
    plan_text(name)
    lines: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        cell = result.cell
        lines.setdefault((cell.data.title, cell.protocol.title, cell.entry.title), []).append(result)
    pairs, absent = [], []
    for row in (row for row in published() if row.plan == name):
        mine = {key: line for key, line in lines.items() if _is(row, line[0])}
        for figure_name, theirs in row.figures.items():
            for key, line in mine.items():
                ours = _summary(line, figure_name)
                setting = Setting.of(line, row)
                pairs.append(Pair(*key, row.title, figure_name, theirs, ours, len(line), row, setting))
            if not mine:
                about = (row.benchmark, "", "", row.title, figure_name)
                absent.append(Pair(*about, theirs, None, 0, row))
    return pairs + absent


def _is(row: Published, result: Result) -> bool:
    cell = result.cell
    same = row.method == cell.entry.method and row.benchmark == cell.data.benchmark
    return same and _same_task(row, cell.data.options)


def _summary(line: Sequence[Result], name: str) -> Summary | None:
    part, figure_name = name.split(".")
    if part not in line[0].tests:
        return None
    return summarise(figure(result.tests, part, figure_name) for result in line)
