"""The field's benchmarks by name: each rebuilds from raw files, or from nothing at all."""

from longway.data.catalogue.base import Benchmark, Card, Parts, check_counts
from longway.data.catalogue.camelyon17 import Camelyon17
from longway.data.catalogue.celeba import CelebA
from longway.data.catalogue.civilcomments import CivilComments
from longway.data.catalogue.cmnist import CMNIST
from longway.data.catalogue.digits import Digits
from longway.data.catalogue.dominoes import Dominoes
from longway.data.catalogue.metashift import MetaShift
from longway.data.catalogue.multinli import MultiNLI
from longway.data.catalogue.planted import Planted
from longway.data.catalogue.utkface import UTKFace
from longway.data.catalogue.waterbirds import Waterbirds

BENCHMARKS: dict[str, type[Benchmark]] = {
    benchmark.name: benchmark
    for benchmark in (
        Digits,
        Planted,
        CMNIST,
        Dominoes,
        CelebA,
        Waterbirds,
        MetaShift,
        Camelyon17,
        UTKFace,
        MultiNLI,
        CivilComments,
    )
}
"""All benchmarks, those that need no file first."""

__all__ = ["BENCHMARKS", "Benchmark", "Card", "Parts", "check_counts"]
