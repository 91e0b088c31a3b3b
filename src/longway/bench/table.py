"""A comparison as a table: a pure, bit-reproducible function of results."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longway.bench.plan import Cell
from longway.bench.protocol import ORACLE
from longway.bench.published import Published, find_published
from longway.bench.results import Result, figure, metric_of
from longway.bench.statistics import CONFIDENCE, DIGITS, RESAMPLES, Bootstrap, Estimate, Figure, Rank, Standing, ranking
from longway.metrics.group_metrics import wilson_interval
from longway.utils.errors import LongwayError

Failed = Sequence[tuple[Cell, Mapping[str, Any]]]
"""The result of `longway.bench.results.failures`."""

TEST = "test"
SUPERVISION = {"none": "none", "val_groups": "validation", "train_groups": "training", ORACLE: "ORACLE: test labels"}
"""Names of the supervision levels in tables."""


@dataclass(frozen=True)
class Group:
    """A group of a test part under one method.

    Parameters
    ----------
    name : str
    n : float
        Samples a seed, averaged over seeds.
    accuracy : float
        Mean over seeds.
    low, high : float
        Wilson interval for as many samples as one seed has.
    """

    name: str
    n: float
    accuracy: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types."""
        return {**vars(self), "accuracy": None if math.isnan(self.accuracy) else self.accuracy}


@dataclass(frozen=True)
class Line:
    """A method on one benchmark under one protocol.

    Parameters
    ----------
    method, name : str
        Its title, and its name in `longway.METHODS`.
    supervision : str
        The group labels that it used: none, val_groups, train_groups, oracle.
    seeds, missing : tuple of int
        Those with a result, and those without one because all trials failed.
    tried, failed : int
        Trials over all seeds, and those that ended with an error.
    figures, differences : mapping of figure to Estimate
        Its own, and how far they are above the baseline's.
    groups : tuple of Group
        Of the part that stands for the benchmark; classes where no groups are known.
    settings : mapping of int to mapping
        Parameters that were chosen, by seed.
    published : tuple of Published
    single : tuple of float
        The figure that stands for the benchmark, of each seed.
    warnings : mapping of str to tuple of int
        What the fits warned of, with their seeds.
    """

    method: str
    name: str
    supervision: str
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    tried: int
    failed: int
    figures: Mapping[Figure, Estimate]
    differences: Mapping[Figure, Estimate]
    groups: tuple[Group, ...]
    settings: Mapping[int, Mapping[str, Any]]
    published: tuple[Published, ...]
    single: tuple[float, ...] = ()
    warnings: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON has them."""
        plain = ("method", "name", "supervision", "tried", "failed")
        return {
            **{name: getattr(self, name) for name in plain},
            "seeds": list(self.seeds),
            "missing": list(self.missing),
            "figures": {".".join(key): estimate.to_dict() for key, estimate in self.figures.items()},
            "differences": {".".join(key): estimate.to_dict() for key, estimate in self.differences.items()},
            "groups": [group.to_dict() for group in self.groups],
            "settings": {str(seed): dict(values) for seed, values in self.settings.items()},
            "published": [each.to_dict() for each in self.published],
            "single": [round(value, DIGITS) for value in self.single],
            "warnings": {text: list(which) for text, which in self.warnings.items()},
        }


@dataclass(frozen=True)
class Block:
    """All methods on one benchmark under one protocol.

    Parameters
    ----------
    benchmark, protocol : str
        Titles.
    data, rules : mapping
        What was done, in full: `DataSpec` and `Protocol` as JSON has them.
    metric : figure
        What stands for the benchmark.
    baseline : str
        Title of the method that the others are compared with.
    columns : tuple of figure
        What a table shows.
    lines : tuple of Line
    """

    benchmark: str
    protocol: str
    data: Mapping[str, Any]
    rules: Mapping[str, Any]
    metric: Figure
    baseline: str
    columns: tuple[Figure, ...]
    lines: tuple[Line, ...]

    @property
    def oracle(self) -> bool:
        """True if the settings were selected on the test data."""
        return bool(self.rules["settings"] == ORACLE)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON has them."""
        return {
            "benchmark": self.benchmark,
            "protocol": self.protocol,
            "data": dict(self.data),
            "rules": dict(self.rules),
            "oracle": self.oracle,
            "metric": ".".join(self.metric),
            "baseline": self.baseline,
            "columns": [".".join(key) for key in self.columns],
            "methods": [line.to_dict() for line in self.lines],
        }


@dataclass(frozen=True)
class Failure:
    """A trial that ended with an error."""

    benchmark: str
    protocol: str
    method: str
    seed: int
    parameters: Mapping[str, Any]
    type: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON has them."""
        return {**vars(self), "parameters": dict(self.parameters)}


@dataclass(frozen=True)
class Table:
    """A comparison.

    Parameters
    ----------
    blocks : tuple of Block
        One for each benchmark and protocol.
    rankings : mapping of str to list of Rank
        By protocol, over its benchmarks.
    failures : tuple of Failure
    confidence : float
        Coverage of all intervals.
    """

    blocks: tuple[Block, ...]
    rankings: Mapping[str, Sequence[Rank]]
    failures: tuple[Failure, ...]
    confidence: float = CONFIDENCE

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            "format": 1,
            "confidence": self.confidence,
            "blocks": [block.to_dict() for block in self.blocks],
            "rankings": {name: [rank.to_dict() for rank in ranks] for name, ranks in self.rankings.items()},
            "failures": [failure.to_dict() for failure in self.failures],
        }


def tabulate(
    results: Sequence[Result], baseline: str = "", failed: Failed = (), *, resamples: int = RESAMPLES
) -> Table:
    """Build the table of a comparison.

    Parameters
    ----------
    results : sequence of Result
        What `longway.bench.results.read_results` returns.
    baseline : str, optional
        Title of the method that the others are compared with, `Plan.baseline`; the first if not given.
    failed : sequence of (Cell, record), optional
        Trials that ended with an error, from `longway.bench.results.failures`.
    resamples : int, default 1000
        Of the bootstrap.

    Returns
    -------
    Table

    Raises
    ------
    LongwayError
        There are no results.
    """
    if not results:
        raise LongwayError("there are no results yet: run the benchmark first")
    baseline = baseline or results[0].cell.entry.title
    by_benchmark: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        protocols = by_benchmark.setdefault(result.cell.data.title, {})
        protocols.setdefault(result.cell.protocol.title, []).append(result)
    blocks: list[Block] = []
    standings: dict[str, dict[str, Standing]] = {}
    for benchmark, protocols in by_benchmark.items():
        boot = bootstrap([result for block in protocols.values() for result in block], resamples)
        for protocol, block in protocols.items():
            lost = [
                (cell, record)
                for cell, record in failed
                if (cell.data.title, cell.protocol.title) == (benchmark, protocol)
            ]
            made = _block(block, boot, baseline, lost)
            methods = [line.method for line in made.lines if line.seeds]
            ranks = boot.ranks(*made.metric, [(protocol, method) for method in methods])
            standings.setdefault(protocol, {})[benchmark] = Standing(methods, *ranks)
            blocks.append(made)
    rankings = {protocol: ranking(each) for protocol, each in standings.items()}
    return Table(tuple(blocks), rankings, tuple(_failure(*each) for each in failed))


def bootstrap(results: Sequence[Result], resamples: int = RESAMPLES) -> Bootstrap:
    """Return the bootstrap of all results on one benchmark; its runs are (protocol, method) titles."""
    runs: dict[Hashable, dict[int, Any]] = {}
    for result in results:
        runs.setdefault((result.cell.protocol.title, result.cell.entry.title), {})[result.cell.seed] = result.tests
    return Bootstrap(runs, results[0].cell.data.key, resamples)


def _block(block: Sequence[Result], boot: Bootstrap, baseline: str, lost: Failed) -> Block:
    cell, metric = block[0].cell, metric_of(block[0].cell, block[0].tests)
    lines: dict[str, list[Result]] = {}
    for result in block:
        lines.setdefault(result.cell.entry.title, []).append(result)
    baseline = baseline if baseline in lines else next(iter(lines))
    protocol = cell.protocol.title
    columns = _columns(boot, [(protocol, title) for title in lines], metric)
    figures = {key: boot.estimates(*key) for key in columns}
    others = {(protocol, title): (protocol, baseline) for title in lines if title != baseline}
    compared = {key: boot.differences(*key, others) for key in columns} if others else {}
    rows = [
        _line(
            line,
            metric,
            [each for each in lost if each[0].entry.title == title],
            {key: found[protocol, title] for key, found in figures.items()},
            {key: found[protocol, title] for key, found in compared.items() if title != baseline},
        )
        for title, line in lines.items()
    ]
    nowhere = [(each, record) for each, record in lost if each.entry.title not in lines]
    rows += [_empty(title, nowhere) for title in dict.fromkeys(each.entry.title for each, _ in nowhere)]
    about = (cell.data.title, protocol, cell.data.to_dict(), cell.protocol.to_dict())
    return Block(*about, metric, baseline, tuple(columns), tuple(rows))


def _columns(boot: Bootstrap, runs: Sequence[Hashable], metric: Figure) -> list[Figure]:
    """Return the metrics of a table: the benchmark's main one, worst group and averages, then further parts."""
    worst = [(TEST, name) for name in ("worst_group", "worst_class")]
    wanted = [metric, *worst, (TEST, "average"), (TEST, "reweighted_average")]
    wanted += [(part, name) for part in boot.parts if part != TEST for name in ("worst_group", "average")]
    columns = [boot.names.index(run) for run in runs]
    known = [key for key in dict.fromkeys(wanted) if not np.isnan(boot.measured(*key)[:, columns]).all()]
    return [key for key in known if key != worst[1] or key == metric or worst[0] not in known]


def _line(
    line: Sequence[Result],
    metric: Figure,
    lost: Failed,
    figures: dict[Figure, Estimate],
    differences: dict[Figure, Estimate],
) -> Line:
    cell = line[0].cell
    seeds = tuple(result.cell.seed for result in line)
    lost = [each for each in lost if each[0].seed not in seeds]
    used = [result.supervision for result in line]
    return Line(
        cell.entry.title,
        cell.entry.method,
        next((name for name in reversed(SUPERVISION) if name in used), used[0]),
        seeds,
        tuple(sorted({each.seed for each, _ in lost})),
        sum(result.tried for result in line) + len(lost),
        sum(result.failed for result in line) + len(lost),
        {key: estimate for key, estimate in figures.items() if estimate.seeds},
        {key: estimate for key, estimate in differences.items() if estimate.seeds},
        _groups(line, metric[0]),
        {result.cell.seed: dict(result.spec.parameters) for result in line},
        tuple(find_published(cell.data.benchmark, cell.data.options, cell.entry.method)),
        tuple(figure(result.tests, *metric) for result in line),
        _warnings(line),
    )


def _warnings(line: Sequence[Result]) -> dict[str, tuple[int, ...]]:
    told: dict[str, tuple[int, ...]] = {}
    for result in line:
        for text in result.record.get("warnings", ()):
            told[text] = (*told.get(text, ()), result.cell.seed)
    return told


def _empty(title: str, lost: Failed) -> Line:
    """Return the line of a method whose trials all failed."""
    mine = [each for each, _ in lost if each.entry.title == title]
    missing = tuple(sorted({each.seed for each in mine}))
    return Line(title, mine[0].entry.method, "", (), missing, len(mine), len(mine), {}, {}, (), {}, ())


def _groups(line: Sequence[Result], part: str) -> tuple[Group, ...]:
    counts: dict[str, list[tuple[int, int]]] = {}
    for result in line:
        metrics = result.tests[part].metrics
        for group in metrics.classes if metrics.groups is None else metrics.groups:
            counts.setdefault(group.name, []).append((group.correct, group.n))
    groups = []
    for name, pairs in counts.items():
        correct, n = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
        low, high = wilson_interval(correct, n)
        accuracy = sum(c / m for c, m in pairs if m) / max(1, sum(m > 0 for _, m in pairs)) if n else math.nan
        groups.append(Group(name, round(n, DIGITS), *(round(float(x), DIGITS) for x in (accuracy, low, high))))
    return tuple(groups)


def _failure(cell: Cell, record: Mapping[str, Any]) -> Failure:
    about = (cell.data.title, cell.protocol.title, cell.entry.title, cell.seed)
    error = record["error"]
    return Failure(*about, record["spec"]["parameters"], str(error["type"]), str(error["message"]))
