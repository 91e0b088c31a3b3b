"""Bootstrap over seeds and test samples, jointly for all results on the same data."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from longway.bench.resampling import resample
from longway.bench.results import FIGURES, Test, figure
from longway.utils.errors import LongwayError
from longway.utils.storage import hash_json

RESAMPLES = 1000
CONFIDENCE = 0.95
DIGITS = 9
"""Decimals of metrics in [0, 1]: finer than any test can resolve, coarser than rounding in a different order."""

Figure = tuple[str, str]
"""A test part and the name of a metric, such as ("test", "worst_group")."""

Runs = Mapping[Hashable, Mapping[int, Mapping[str, Test]]]
"""Results by method, then by seed, then by test part."""


class Estimate(NamedTuple):
    """A metric over seeds.

    Parameters
    ----------
    mean, std : float
        Mean and sample standard deviation over seeds; the spread of one seed is NaN.
    low, high : float
        Bootstrap interval of the mean.
    seeds : int
        How many there are.
    """

    mean: float
    std: float
    low: float
    high: float
    seeds: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Return all fields as JSON types; None for undefined numbers."""
        return {name: None if math.isnan(value) else value for name, value in self._asdict().items()}


NOTHING = Estimate(math.nan, math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Metrics of several runs, with intervals that account for few seeds and few test samples.

    Test samples are drawn again within each group, the same ones for all runs and for all seeds that share a test
    set, so that differences between runs are paired. Seeds are drawn again too, one fewer than there are, which gives
    their mean the variance that it has. The part of the spread over seeds that comes from the test samples is taken
    off the latter, as the former has it already. The lowest of several noisy accuracies lies below the lowest
    accuracy; replicates are therefore moved so that their mean is the estimate.

    Parameters
    ----------
    runs : mapping
        See `Runs`. One that lacks a seed is compared on the seeds that it has.
    key : object, optional
        Plain values that fix the random numbers: the same from the same key.
    resamples : int, default 1000
    confidence : float, default .95

    Raises
    ------
    LongwayError
        There is nothing to compare.

    References
    ----------
    J. N. K. Rao and C. F. J. Wu (1988), Resampling inference with complex survey data. A. B. Owen (2007), The
    pigeonhole bootstrap.
    """

    runs: Runs
    key: Any = None
    resamples: int = RESAMPLES
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        if not any(self.runs.values()):
            raise LongwayError("there are no results to compare")

    @cached_property
    def names(self) -> list[Hashable]:
        """Names of the compared methods."""
        return list(self.runs)

    @cached_property
    def seeds(self) -> list[int]:
        """All seeds, including those that some runs lack."""
        return sorted({seed for by_seed in self.runs.values() for seed in by_seed})

    @cached_property
    def parts(self) -> list[str]:
        """All test parts."""
        return list(dict.fromkeys(p for by_seed in self.runs.values() for tests in by_seed.values() for p in tests))

    def measured(self, part: str, name: str) -> np.ndarray:
        """Return the measured values of a metric: array (seed, run), NaN if missing."""
        if (part, name) not in self._measured:
            values = np.full((len(self.seeds), len(self.runs)), math.nan)
            for column, by_seed in enumerate(self.runs.values()):
                for row, seed in enumerate(self.seeds):
                    if part in by_seed.get(seed, ()):
                        values[row, column] = figure(by_seed[seed], part, name)
            self._measured[part, name] = values
        return self._measured[part, name]

    def estimates(self, part: str, name: str) -> dict[Hashable, Estimate]:
        """Return a metric of every run over its seeds."""
        measured = self.measured(part, name)
        return self._summaries(self.names, measured, self.replicates(part, name), 0.0)

    def differences(self, part: str, name: str, against: Mapping[Any, Hashable]) -> dict[Hashable, Estimate]:
        """Return differences between runs, over their common seeds.

        Parameters
        ----------
        part, name : str
        against : mapping of run to run
            What each is compared with.
        """
        columns = [self.names.index(run) for run in against]
        others = [self.names.index(run) for run in against.values()]
        measured, resampled = self.measured(part, name), self._resampled(part)[name]
        apart = measured[:, columns] - measured[:, others]
        replicates = self._combined(resampled[:, :, columns] - resampled[:, :, others], apart)
        return self._summaries(list(against), apart, replicates, -1.0)

    def replicates(self, part: str, name: str) -> np.ndarray:
        """Return bootstrap replicates over seeds and samples: array (replicate, run)."""
        if (part, name) not in self._combinations:
            values = self._combined(self._resampled(part)[name], self.measured(part, name))
            self._combinations[part, name] = values
        return self._combinations[part, name]

    def ranks(self, part: str, name: str, among: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
        """Return the ranks of runs by a metric, 1 the best: measured (run,), and of replicates (replicate, run)."""
        columns = [self.names.index(run) for run in among]
        measured = self.measured(part, name)[:, columns]
        return ranked(_means(measured)[None])[0], ranked(self.replicates(part, name)[:, columns])

    def _summaries(
        self, names: Sequence[Hashable], measured: np.ndarray, replicates: np.ndarray, lowest: float
    ) -> dict[Hashable, Estimate]:
        tail = (1 - self.confidence) / 2
        bounds = np.clip(np.quantile(replicates, (tail, 1 - tail), axis=0), lowest, 1.0)
        found = dict.fromkeys(names, NOTHING)
        for column, name in enumerate(names):
            values = measured[~np.isnan(measured[:, column]), column]
            if len(values):
                std = values.std(ddof=1) if len(values) > 1 else math.nan
                numbers = (values.mean(), std, *bounds[:, column])
                mean, std, low, high = (round(float(x), DIGITS) for x in numbers)
                found[name] = Estimate(mean, std, low, high, len(values))
        return found

    def _combined(self, resampled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Return replicates (b, run) of means over seeds, from replicates (b, seed, run) and values (seed, run)."""
        replicates = np.full((self.resamples, measured.shape[1]), math.nan)
        have = ~np.isnan(measured)
        for rows in np.unique(have, axis=1).T:  # nearly always one: all runs have all seeds
            columns = np.flatnonzero((have == rows[:, None]).all(axis=0))
            if rows.any():
                values = measured[rows][:, columns]
                replicates[:, columns] = self._paired(resampled[:, rows][:, :, columns], values)
        return replicates

    def _paired(self, resampled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        by_samples = resampled.mean(axis=1)
        replicates: np.ndarray = measured.mean(axis=0) + by_samples - by_samples.mean(axis=0)
        count = len(measured)
        if count > 1:
            variance = measured.var(axis=0, ddof=1)
            noise = (resampled - measured).var(axis=1, ddof=1).mean(axis=0)
            share = 1 - noise / np.where(variance > 0, variance, math.inf)
            by_seeds = (self._drawn_seeds(count)[:, :, None] * measured).sum(axis=1) - measured.mean(axis=0)
            replicates += np.sqrt(np.where(variance > 0, np.maximum(share, 0), 0)) * by_seeds
        return replicates

    def _drawn_seeds(self, count: int) -> np.ndarray:
        """Return the weights of this many seeds in each replicate, the same for all runs with as many."""
        if count not in self._weights:
            drawn = self._generator("seeds", count).multinomial(count - 1, np.full(count, 1 / count), self.resamples)
            self._weights[count] = drawn / (count - 1)
        return self._weights[count]

    def _resampled(self, part: str) -> dict[str, np.ndarray]:
        """Return each metric of a part on resamples: arrays (replicate, seed, run), NaN if missing."""
        if part not in self._kept:
            shape = (self.resamples, len(self.seeds), len(self.runs))
            made = {name: np.full(shape, math.nan) for name in FIGURES}
            for number, (places, tests) in enumerate(self._test_sets(part)):
                rows, columns = np.array(places).T
                for name, values in resample(tests, self.resamples, self._generator(part, number)).items():
                    made[name][:, rows, columns] = values
            self._kept[part] = made
        return self._kept[part]

    def _test_sets(self, part: str) -> list[tuple[list[tuple[int, int]], list[Test]]]:
        """Return the indices (seed, run) and tests of the same samples, identified by the order of their groups."""
        sets: dict[bytes, tuple[list[tuple[int, int]], list[Test]]] = {}
        for row, seed in enumerate(self.seeds):
            for column, by_seed in enumerate(self.runs.values()):
                test = by_seed.get(seed, {}).get(part)
                if test is not None:
                    places, tests = sets.setdefault(np.asarray(test.groups).tobytes(), ([], []))
                    places.append((row, column))
                    tests.append(test)
        return list(sets.values())

    def _generator(self, *what: Any) -> np.random.Generator:
        return np.random.default_rng(int(hash_json([self.key, *what])[:16], 16))

    @cached_property
    def _measured(self) -> dict[Figure, np.ndarray]:
        return {}

    @cached_property
    def _combinations(self) -> dict[Figure, np.ndarray]:
        return {}

    @cached_property
    def _kept(self) -> dict[str, dict[str, np.ndarray]]:
        return {}

    @cached_property
    def _weights(self) -> dict[int, np.ndarray]:
        return {}


def ranked(values: np.ndarray) -> np.ndarray:
    """Return the rank of each column in its row, 1 the highest; ties share their mean rank, NaN has none."""
    return np.asarray(rankdata(-values, axis=1, nan_policy="omit"))


def _means(values: np.ndarray) -> np.ndarray:
    """Return the mean of each column's values, NaN without any."""
    there = ~np.isnan(values)
    sums = np.where(there, values, 0).sum(axis=0)
    return np.where(there.any(axis=0), sums / np.maximum(there.sum(axis=0), 1), math.nan)


class Rank(NamedTuple):
    """The rank of a method.

    Parameters
    ----------
    method : str
    mean : float
        Mean rank over benchmarks, 1 the best.
    low, high : float
        Bootstrap interval, over seeds and test samples of these very benchmarks.
    first : float
        Share of replicates in which no method has a better mean rank.
    by_benchmark : mapping of str to float
        Its rank on each.
    """

    method: str
    mean: float
    low: float
    high: float
    first: float
    by_benchmark: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields."""
        return {**self._asdict(), "by_benchmark": dict(self.by_benchmark)}


class Standing(NamedTuple):
    """The ranks of methods on one benchmark: measured (method,), and of replicates (replicate, method)."""

    methods: Sequence[str]
    measured: np.ndarray
    replicates: np.ndarray


def ranking(standings: Mapping[str, Standing], confidence: float = CONFIDENCE) -> list[Rank]:
    """Rank methods over benchmarks, the best first.

    Parameters
    ----------
    standings : mapping of str to Standing
        By benchmark. A method that a benchmark lacks has no rank there.
    confidence : float, default .95
    """
    methods = list(dict.fromkeys(method for standing in standings.values() for method in standing.methods))
    measured = np.stack([_aligned(standing.measured, standing.methods, methods) for standing in standings.values()])
    drawn = np.stack([_aligned(standing.replicates, standing.methods, methods) for standing in standings.values()])
    means, replicates = _means(measured), _means(drawn)
    best = np.where(np.isnan(replicates), math.inf, replicates).min(axis=1, keepdims=True)
    firsts = (replicates <= best).mean(axis=0)
    tail = (1 - confidence) / 2
    bounds = np.quantile(replicates, (tail, 1 - tail), axis=0)
    found = []
    for column, method in enumerate(methods):
        by_benchmark = dict(zip(standings, measured[:, column].tolist(), strict=True))
        if not math.isnan(means[column]):
            numbers = (means[column], *bounds[:, column], firsts[column])
            mean, low, high, first = (round(float(x), DIGITS) for x in numbers)
            there = {name: rank for name, rank in by_benchmark.items() if not math.isnan(rank)}
            found.append(Rank(method, mean, low, high, first, there))
    return sorted(found, key=lambda rank: rank.mean)


def _aligned(ranks: np.ndarray, methods: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Return ranks (..., method) in the order of other methods, NaN for missing ones."""
    at = {method: column for column, method in enumerate(methods)}
    absent = np.full((*ranks.shape[:-1], 1), math.nan)
    return np.concatenate([ranks, absent], axis=-1)[..., [at.get(method, len(methods)) for method in wanted]]
