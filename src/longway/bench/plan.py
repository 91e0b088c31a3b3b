"""Plans of comparisons: methods x benchmarks x protocols x seeds x settings, from a TOML file or from Python."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from longway.bench.prepared import data_spec
from longway.bench.protocol import Protocol
from longway.bench.spec import DataSpec, TrialSpec
from longway.bench.trial import method_of
from longway.methods import METHODS
from longway.methods._search_space import Space, draw, read_range
from longway.training.options import TrainingOptions
from longway.training.selection import LAST
from longway.utils.errors import LongwayError, nearest
from longway.utils.storage import hash_json

SEARCHES = ("random", "optuna")
FIXED = ("selection", "random_state", "device", "verbose")
"""Parameters that the protocol, the seed or the machine decides; but a published "last" epoch is no selection."""

TRAINING = ("mixed_precision", "clip", "compile")
"""Training options that a plan may set: those that change the result, of one fit on one device."""


@dataclass(frozen=True)
class Entry:
    """A method as one line of the table.

    Parameters
    ----------
    method : str
        Name in `longway.METHODS`.
    title : str
        What it is called in tables.
    parameters : mapping
        Fixed ones.
    space : mapping
        Where a search looks for others.
    paper : str
        Name of the published setting that the parameters are from, if any.
    """

    method: str
    title: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    paper: str = ""

    @classmethod
    def from_dict(cls, record: Mapping[str, Any] | str) -> Entry:
        """Read a method from a plan: its name, or a table with its name, ``title``, ``paper``, ``space``, parameters.

        Raises
        ------
        LongwayError
            The method, its paper setting or one of its parameters is unknown or out of range.
        """
        given: dict[str, Any] = {"name": record} if isinstance(record, str) else dict(record)
        name = given.pop("name", None)
        if not isinstance(name, str) or name.lower() not in METHODS:
            raise LongwayError(f"method {name!r} is unknown; {nearest(str(name), METHODS)}")
        name = name.lower()
        cls_ = METHODS[name]
        title, paper = _text(given.pop("title", ""), "title"), _text(given.pop("paper", ""), "paper")
        ranges = given.pop("space", None)
        cls_.check_names(given)
        for fixed in FIXED:
            if fixed in given:
                raise LongwayError(f"method {name}: {fixed} is not a method's to set here; the protocol or run does")
        if paper:
            cls_.from_paper(paper)
            published = {k: v for k, v in cls_.published[paper].items() if k not in FIXED or v == LAST}
            given = {**published, **given}
        if ranges is None:
            space = cls_.search_space()
        elif not isinstance(ranges, Mapping):
            raise LongwayError(f"the space of method {name} is {ranges!r}: give a table of ranges by parameter")
        else:
            cls_.check_names(ranges)
            space = {key: read_range(value, f"{name}.{key}") for key, value in ranges.items()}
        space = {key: value for key, value in space.items() if key not in given}
        words = f"{cls_.__name__} ({paper})" if paper else cls_.__name__
        entry = cls(name, title or words, given, space, paper)
        method_of(TrialSpec(DataSpec("", {}), name, given, 0))
        return entry

    def drawn(self, number: int) -> dict[str, Any]:
        """Return the parameters of the draw of this number; number 0 is the defaults."""
        if number == 0 or not self.space:
            return dict(self.parameters)
        if number not in self._draws:
            seed = int(hash_json([self.method, number])[:15], 16)
            self._draws[number] = draw(self.space, np.random.default_rng(seed))
        return {**self.parameters, **self._draws[number]}

    @cached_property
    def _draws(self) -> dict[int, dict[str, Any]]:
        return {}


@dataclass(frozen=True)
class Cell:
    """One line of a table for one seed: the trials among which one is selected."""

    data: DataSpec
    protocol: Protocol
    entry: Entry
    seed: int


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Parameters
    ----------
    benchmarks : tuple of DataSpec
    methods : tuple of Entry
    protocols : tuple of Protocol
    seeds : tuple of int
    draws : int, default 1
        Settings tried per method, the defaults among them: the same budget for all.
    search : {"random", "optuna"}, default "random"
    baseline : str
        Title of the method that the others are compared with.
    device : str, default "cpu"
    threads : int, default 1
        Threads of each trial.
    training : mapping, optional
        Options of ``longway.training_options`` for all fits: ``mixed_precision``, ``clip``, ``compile``.
    source : mapping
        The plan as it was written.
    """

    benchmarks: tuple[DataSpec, ...]
    methods: tuple[Entry, ...]
    protocols: tuple[Protocol, ...] = (Protocol(),)
    seeds: tuple[int, ...] = (0,)
    draws: int = 1
    search: str = "random"
    baseline: str = ""
    device: str = "cpu"
    threads: int = 1
    training: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("benchmarks", "methods", "protocols", "seeds"):
            values = getattr(self, name)
            if not values:
                raise LongwayError(f"the plan has no {name}: name at least one")
            titles = [getattr(value, "title", value) for value in values]
            twice = next((title for title in titles if titles.count(title) > 1), None)
            if twice is not None:
                raise LongwayError(f"the plan has two {name} called {twice!r}: give one of them another title")
        if self.search not in SEARCHES:
            raise LongwayError(f"search={self.search!r} is unknown; {nearest(self.search, SEARCHES)}")
        for name in ("draws", "threads"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise LongwayError(f"{name}={getattr(self, name)!r} must be a whole number, 1 or more")
        _check_training(self.training)
        titles = [entry.title for entry in self.methods]
        by_name = {entry.method: entry.title for entry in reversed(self.methods)}
        baseline = self.baseline or titles[0]
        baseline = baseline if baseline in titles else by_name.get(baseline.lower(), baseline)
        if baseline not in titles:
            raise LongwayError(f"baseline={self.baseline!r} is no method of the plan; {nearest(baseline, titles)}")
        object.__setattr__(self, "baseline", baseline)

    def cells(self) -> Iterator[Cell]:
        """Yield all lines of the table for all seeds, grouped by data."""
        for data in self.benchmarks:
            for seed in self.seeds:
                for protocol in self.protocols:
                    for entry in self.methods:
                        yield Cell(data, protocol, entry, seed)

    def trial(self, cell: Cell, parameters: Mapping[str, Any]) -> TrialSpec:
        """Return the trial of a cell with these parameters."""
        return TrialSpec(
            cell.data,
            cell.entry.method,
            parameters,
            cell.seed,
            cell.protocol.groups,
            cell.protocol.selection,
            cell.protocol.validation,
            self.device,
            self.threads,
            self.training,
        )

    def trials(self, cell: Cell) -> list[TrialSpec]:
        """Return the trials of a cell under random search, each setting once."""
        budget = self.draws if cell.entry.space else 1
        specs = (self.trial(cell, cell.entry.drawn(number)) for number in range(budget))
        return list({spec.key: spec for spec in specs}.values())


def load_plan(path: str | Path) -> Plan:
    """Read a plan from a TOML file.

    Raises
    ------
    LongwayError
        It is no TOML (the message has the line), or something in it is unknown or out of range.
    """
    return read_plan(load_record(path), str(path))


def load_record(path: str | Path) -> dict[str, Any]:
    """Read a TOML file before it is interpreted as a plan.

    Raises
    ------
    LongwayError
        The file cannot be read, or is no TOML; the message has the line.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LongwayError(f"{path} cannot be read ({error.strerror}): give the path of a plan in TOML") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LongwayError(f"{path} is no TOML: {error}") from error


KEYS = ("benchmark", "method", "protocol", "seeds", "draws", "search", "baseline", "device", "threads", "training")


def read_plan(
    record: Mapping[str, Any], source: str = "the plan", benchmarks: Sequence[DataSpec] | None = None
) -> Plan:
    """Read a plan from plain values, as a TOML file has them.

    Parameters
    ----------
    record : mapping
        ``benchmark``, ``method`` and ``protocol`` are lists of names or tables; ``seeds`` a number or a list.
    source : str
        Where it comes from, for messages.
    benchmarks : sequence of DataSpec, optional
        Those of the record, where they are known: their raw files are then not looked at.

    Raises
    ------
    LongwayError
        A key, a name or a value is unknown or out of range.

    Examples
    --------
    >>> plan = read_plan({"benchmark": ["digits"], "method": ["erm", "rwg"], "seeds": 2})
    >>> [cell.entry.title for cell in plan.cells()]
    ['ERM', 'RWG', 'ERM', 'RWG']
    """
    try:
        return _read(record, benchmarks)
    except LongwayError as error:
        raise LongwayError(f"{source}: {error}") from error


def _read(record: Mapping[str, Any], benchmarks: Sequence[DataSpec] | None) -> Plan:
    for name in record:
        if name not in KEYS:
            raise LongwayError(f"a plan has no {name!r}; {nearest(name, KEYS)}")
    seeds = record.get("seeds", 1)
    counted = isinstance(seeds, int) and not isinstance(seeds, bool) and seeds >= 1
    listed = isinstance(seeds, list) and all(isinstance(s, int) and s >= 0 for s in seeds)
    if not (counted or listed):
        raise LongwayError(f"seeds={seeds!r} must be a whole number, 1 or more, or a list of seeds")
    return Plan(
        tuple(benchmarks or (_benchmark(value) for value in _list(record, "benchmark"))),
        tuple(Entry.from_dict(value) for value in _list(record, "method")),
        tuple(Protocol.from_dict(value) for value in _list(record, "protocol")) or (Protocol(),),
        tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds),
        record.get("draws", 1),
        _text(record.get("search", "random"), "search"),
        _text(record.get("baseline", ""), "baseline"),
        _text(record.get("device", "cpu"), "device"),
        record.get("threads", 1),
        record.get("training", {}),
        dict(record),
    )


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise LongwayError(f"{name}={value!r} must be a text")
    return value


def _check_training(options: Any) -> None:
    if not isinstance(options, Mapping):
        raise LongwayError("training must be a table, such as {mixed_precision = 'bf16-mixed'}")
    for name in options:
        if name not in TRAINING:
            raise LongwayError(f"training has no {name!r} in a plan; {nearest(name, TRAINING)}")
    TrainingOptions(**options)


def _list(record: Mapping[str, Any], name: str) -> Sequence[Any]:
    values = record.get(name, [])
    if isinstance(values, str | Mapping):
        values = [values]
    if not isinstance(values, list) or not all(isinstance(value, str | Mapping) for value in values):
        raise LongwayError(f"{name} must be a name, a table, or a list of them")
    if name == "protocol" and any(isinstance(value, str) for value in values):
        raise LongwayError("a protocol is a table, such as {groups = 'val'}")
    return values


def _benchmark(value: Mapping[str, Any] | str) -> DataSpec:
    """Read a benchmark: its name, or a table with its name, ``title``, ``erm_features`` and options."""
    given: dict[str, Any] = {"name": value} if isinstance(value, str) else dict(value)
    if "name" not in given and "source" in given:
        given["name"] = "data"
    name, title, features = given.pop("name", None), given.pop("title", ""), given.pop("erm_features", None)
    if not isinstance(name, str):
        raise LongwayError("a benchmark needs a name, or the source of your own data")
    if isinstance(features, bool):
        features = {} if features else None
    if not isinstance(features, Mapping | None):
        raise LongwayError(f"erm_features={features!r} must be true, or a table of the ERM network's parameters")
    return data_spec(name, given, features, _text(title, "title"))
