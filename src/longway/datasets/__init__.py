"""Generators of data, and the field's benchmarks by name, rebuilt from raw files."""

from longway.datasets._benchmark import Benchmark, Card, Parts, check_counts
from longway.datasets._make_digits import make_coloured_digits
from longway.datasets._make_planted import make_planted_shortcut
from longway.datasets.camelyon17 import Camelyon17
from longway.datasets.celeba import CelebA
from longway.datasets.civilcomments import CivilComments
from longway.datasets.cmnist import CMNIST
from longway.datasets.coloured_digits import Digits
from longway.datasets.dominoes import Dominoes
from longway.datasets.metashift import MetaShift
from longway.datasets.multinli import MultiNLI
from longway.datasets.planted_shortcuts import Planted
from longway.datasets.unit_tests import UnitTests
from longway.datasets.utkface import UTKFace
from longway.datasets.waterbirds import Waterbirds

BENCHMARKS: dict[str, type[Benchmark]] = {
    benchmark.name: benchmark
    for benchmark in (
        *(Digits, Planted, UnitTests, CMNIST, Dominoes),
        *(CelebA, Waterbirds, MetaShift, Camelyon17, UTKFace, MultiNLI, CivilComments),
    )
}
"""All benchmarks, first those that need no file."""

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Card",
    "Parts",
    "check_counts",
    "make_coloured_digits",
    "make_planted_shortcut",
]
