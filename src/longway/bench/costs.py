"""The cost of a protocol for each method: the same method, seeds and test samples under two protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from longway.bench.protocol import ORACLE, Protocol
from longway.bench.results import Result, metric_of
from longway.bench.statistics import RESAMPLES, Estimate, Figure
from longway.bench.table import bootstrap
from longway.utils.errors import LongwayError, nearest


class Cost(NamedTuple):
    """The difference between two protocols for one method.

    Parameters
    ----------
    benchmark, method, protocol, reference : str
        Titles.
    metric : figure
        What stands for the benchmark.
    there, here : Estimate
        Under the reference, and under the protocol.
    difference : Estimate
        How far it is above the reference, over the seeds that both have.
    """

    benchmark: str
    method: str
    protocol: str
    reference: str
    metric: Figure
    there: Estimate
    here: Estimate
    difference: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types."""
        estimates = {name: getattr(self, name).to_dict() for name in ("there", "here", "difference")}
        return {**self._asdict(), "metric": ".".join(self.metric), **estimates}


def cost_of_selection(results: Sequence[Result], reference: str = "", *, resamples: int = RESAMPLES) -> list[Cost]:
    """Compare every protocol with a reference protocol, for each method on each benchmark.

    Parameters
    ----------
    results : sequence of Result
    reference : str, optional
        Title of the protocol that the others are compared with; by default the first that selects by worst group, so
        that the others say what it costs to do without group labels.
    resamples : int, default 1000
        Of the bootstrap.

    Returns
    -------
    list of Cost
        In the order of the results; none where a method was run under one protocol only.

    Raises
    ------
    LongwayError
        There is no protocol of that title.
    """
    protocols = {result.cell.protocol.title: result.cell.protocol for result in results}
    if reference and reference not in protocols:
        raise LongwayError(f"there is no protocol {reference!r}; {nearest(reference, protocols)}")
    reference = reference or next(iter(sorted(protocols, key=lambda title: _order(protocols[title]))), "")
    by_benchmark: dict[str, list[Result]] = {}
    for result in results:
        by_benchmark.setdefault(result.cell.data.title, []).append(result)
    return [cost for each in by_benchmark.values() for cost in _costs(each, reference, resamples)]


def _order(protocol: Protocol) -> tuple[bool, bool, bool]:
    return protocol.settings == ORACLE, protocol.groups == "infer", protocol.settings != "worst_group"


def _costs(results: Sequence[Result], reference: str, resamples: int) -> list[Cost]:
    metric = metric_of(results[0].cell, results[0].tests)
    boot = bootstrap(results, resamples)
    runs = [(result.cell.protocol.title, result.cell.entry.title) for result in results]
    against = {run: (reference, run[1]) for run in runs if run[0] != reference and (reference, run[1]) in runs}
    if not against:
        return []
    estimates, differences = boot.estimates(*metric), boot.differences(*metric, against)
    benchmark = results[0].cell.data.title
    return [
        Cost(benchmark, run[1], run[0], reference, metric, estimates[there], estimates[run], differences[run])
        for run, there in sorted(against.items(), key=lambda each: runs.index((reference, each[0][1])))
    ]
