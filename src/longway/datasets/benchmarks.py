"""The benchmarks by name; a new one is a module here and a line below."""

from __future__ import annotations

from longway.datasets._base import Benchmark
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
