"""Generators of data, and the field's benchmarks by name, rebuilt from raw files."""

from longway.datasets._base import Benchmark, Card, Parts, check_counts
from longway.datasets._make_digits import make_coloured_digits
from longway.datasets._make_planted import make_planted_shortcut
from longway.datasets.benchmarks import BENCHMARKS

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Card",
    "Parts",
    "check_counts",
    "make_coloured_digits",
    "make_planted_shortcut",
]
