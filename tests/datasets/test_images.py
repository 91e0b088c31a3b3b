"""Benchmarks built from real images: counts, correlations, the same from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from longway.datasets import BENCHMARKS
from longway.datasets.classics import MNIST
from longway.datasets.cmnist import CMNIST
from longway.datasets.coloured_digits import Digits
from longway.datasets.dominoes import Dominoes
from longway.utils.errors import LongwayError

from .helpers import fingerprints, sizes


def agreement(part) -> float:
    (values,) = (part.attributes[name] for name in ("colour", "digit") if name in part.attributes)
    return float((values == part.y).mean())


def test_cmnist_as_in_the_paper(real):
    parts = CMNIST().build(0)
    assert {name: part.X.shape for name, part in parts.items()} == {
        "train": (50_000, 3, 28, 28),
        **dict.fromkeys(("val", "val_balanced", "test", "ood", "random"), (10_000, 3, 28, 28)),
    }
    meant = {"train": 0.9, "val": 0.9, "val_balanced": 0.5, "test": 0.9, "ood": 0.1, "random": 0.5}
    assert {name: round(agreement(part), 3) for name, part in parts.items()} == meant
    digits = MNIST.read().y_test
    for name in ("test", "ood", "random"):
        assert np.mean((digits >= 5) == parts[name].y) == pytest.approx(0.75, abs=1e-3)
        np.testing.assert_array_equal(parts[name].y, parts["test"].y)
        np.testing.assert_array_equal(parts[name].X.max(1), MNIST.read().x_test)
    train = parts["train"]
    assert train.X.dtype == np.uint8
    ink = train.X[:500].any(axis=(2, 3))  # red, green, blue
    np.testing.assert_array_equal(ink, np.stack([train.attributes["colour"] == k for k in (1, 0, 2)], axis=1)[:500])
    assert set(sizes(train)) == {"0-4, green", "0-4, red", "5-9, green", "5-9, red"}


def test_cmnist_with_a_perfect_shortcut(real):
    parts = CMNIST(train_correlation=1.0, n_train=2000, size=14).build(0)
    assert parts["train"].X.shape == (2000, 3, 14, 14)
    assert set(sizes(parts["train"])) == set(sizes(parts["val"])) == {"0-4, green", "5-9, red"}
    assert agreement(parts["ood"]) == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize(("variant", "n_test", "side"), [("irm", 10_000, 14), ("domainbed", 23_333, 28)])
def test_cmnist_with_environments(real, variant, n_test, side):
    parts = CMNIST(variant=variant).build(3)
    train, test = parts["train"], parts["test"]
    assert test.X.shape == (n_test, 2, side, side)
    assert parts["ood"] is test
    environment = train.attributes["environment"]
    for name, meant in (("+90", 0.9), ("+80", 0.8)):
        here = train.take(environment == name)
        assert agreement(here) == pytest.approx(meant, abs=1e-3)
        assert len(here) == pytest.approx(len(train) / 2, abs=2)
    assert set(test.attributes["environment"]) == {"-90"}
    assert agreement(test) == pytest.approx(0.1, abs=1e-3)
    assert agreement(parts["val_balanced"]) == pytest.approx(0.5, abs=1e-3)
    if variant == "irm":
        assert len(train) == 50_000
        assert np.mean((MNIST.read().y_train[50_000:] < 5) == test.y) == pytest.approx(0.75, abs=1e-3)
    else:
        assert len(train) + len(parts["val"]) + len(test) == 70_000


def test_cmnist_cannot_have_more_than_there_is(real):
    with pytest.raises(LongwayError, match=r"n_train=50001 .* only 50000"):
        CMNIST(n_train=50_001).build(0)


def test_dominoes_as_in_the_papers(real):
    parts = Dominoes().build(0)
    names = ("automobile, 0", "automobile, 1", "truck, 0", "truck, 1")
    meant = {
        "train": (3600, 400, 400, 3600),
        "val": (900, 100, 100, 900),
        "val_balanced": (500,) * 4,
        "test": (490,) * 4,
    }
    assert {name: sizes(part) for name, part in parts.items()} == {
        name: dict(zip(names, counts, strict=True)) for name, counts in meant.items()
    }
    train = parts["train"]
    assert train.X.shape == (8000, 3, 64, 32)
    assert train.X.dtype == np.uint8
    below = train.X[:, :, 32:]
    np.testing.assert_array_equal(below, np.repeat(below[:, :1], 3, axis=1))
    assert not below[:, :, [0, 1, -2, -1]].any()
    assert not below[:, :, :, [0, 1, -2, -1]].any()
    above = {name: {row.tobytes() for row in part.X[:, :, :32]} for name, part in parts.items()}
    assert above["val"] == above["val_balanced"]
    assert len(above["train"] & above["val"]) < 5  # a few pictures of CIFAR-10 are there twice
    assert len({row.tobytes() for row in train.X}) == len(train)
    assert Dominoes().build(0)["train"].fingerprint == train.fingerprint
    assert Dominoes().build(1)["train"].fingerprint != train.fingerprint


def test_dominoes_fewer_and_smaller(real):
    assert Dominoes().options() == {"top": "cifar", "correlation": 0.9}
    assert Dominoes(n_train=1000).options()["n_train"] == 1000
    fewer = Dominoes(n_train=1000).build(0)
    assert set(sizes(fewer["train"]).values()) == {450, 50}
    smaller = Dominoes(n_train=1000, size=16).build(0)
    for name, part in fewer.items():
        blocks = np.asarray(part.X, np.float64).reshape(-1, 3, 32, 2, 16, 2).mean((3, 5))
        assert smaller[name].X.shape == blocks.shape
        assert np.abs(smaller[name].X - blocks).max() <= 0.5
    with pytest.raises(LongwayError, match=r"n_train=8001 .* only 8000"):
        Dominoes(n_train=8001).build(0)
    with pytest.raises(LongwayError, match=r"size=14 of benchmark dominoes must be one of None, 32, 16"):
        Dominoes(size=14)


def test_dominoes_without_a_contradicting_sample(real):
    assert set(sizes(Dominoes(correlation=1.0).build(0)["train"])) == {"automobile, 0", "truck, 1"}


@pytest.mark.parametrize(("name", "options"), [("cmnist", {"n_train": 500, "size": 14}), ("digits", {})])
def test_the_same_from_the_same_seed(request, name, options):
    if name == "cmnist":
        request.getfixturevalue("real")
    benchmark = BENCHMARKS[name].with_options(options)
    first = fingerprints(benchmark.build(0))
    assert fingerprints(benchmark.build(0)) == first
    assert benchmark.build(1)["train"].fingerprint != first["train"]


def test_digits_join_both_colourings():
    parts = Digits(copies=2).build(0)
    assert agreement(parts["id"]) == pytest.approx(0.9, abs=2e-3)
    assert agreement(parts["ood"]) == pytest.approx(0.1, abs=2e-3)
    assert agreement(parts["test"]) == 0.5
    assert len(parts["test"]) == len(parts["id"]) + len(parts["ood"])
    assert min(sizes(parts["test"]).values()) > 250
    assert parts["train"].X.shape[1:] == (3, 10, 10)
    assert set(sizes(Digits(train_correlation=1.0).build(0)["train"])) == {"0-4, green", "5-9, red"}
