"""The planted shortcut: shares, means, and what a linear look sees of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from longway.datasets import make_planted_shortcut
from longway.datasets._sampling import correlated, equal_groups, induced
from longway.datasets.planted_shortcuts import Planted

from .helpers import fingerprints, sizes


def linear(part, target, test=None) -> float:
    return LogisticRegression().fit(part.X, target).score((test or part).X, target)


def test_two_classes_are_the_problem_of_planted_shortcut():
    part = Planted(n=4000, correlation=0.9).build(0)["train"]
    known = make_planted_shortcut(4000, correlation=0.9)
    for y, s in ((0, 0), (0, 1), (1, 0), (1, 1)):
        means = [
            np.linalg.norm(X[(labels == y) & (values == s)].mean(0))
            for X, labels, values in (
                (part.X, part.y, part.attributes["shortcut"]),
                (known.X, known.y, known.shortcut),
            )
        ]
        assert means[0] == pytest.approx(means[1], abs=0.3)
    assert part.X.std(0).mean() == pytest.approx(known.X.std(0).mean(), abs=0.1)


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        ({}, 4),
        ({"n_classes": 3}, 9),
        ({"n_values": 3}, 6),
        ({"n_shortcuts": 2}, 8),
        ({"n_classes": 4, "n_values": 2}, 8),
    ],
)
def test_groups(options, groups):
    benchmark = Planted(n=1200, n_val=600, n_test=720, correlation=0.75, **options)
    parts = benchmark.build(0)
    assert benchmark.n_groups == groups
    for name in ("val_balanced", "test"):
        counts = list(sizes(parts[name]).values())
        assert len(counts) == groups
        assert max(counts) - min(counts) <= 1
    train = parts["train"]
    for values in train.attributes.values():
        assert np.mean(values == train.y % benchmark.values) == pytest.approx(0.75, abs=1e-2)
    assert train.X.shape == (1200, 20)
    assert fingerprints(parts) == fingerprints(benchmark.build(0))
    assert parts["train"].fingerprint != benchmark.build(1)["train"].fingerprint


def test_no_contradicting_sample():
    assert len(sizes(Planted(correlation=1.0, n_classes=3).build(0)["train"])) == 3


@pytest.mark.parametrize("core", ["linear", "xor"])
@pytest.mark.parametrize("shortcut", ["linear", "xor"])
def test_forms(core, shortcut):
    options = {"core_form": core, "shortcut_form": shortcut, "core": 2.0}
    test = Planted(n_classes=3, n_test=3000, **options).build(0)["test"]
    assert (linear(test, test.y) > 0.85) == (core == "linear")
    assert (linear(test, test.attributes["shortcut"]) > 0.9) == (shortcut == "linear")


def test_strengths_and_noise():
    strong = Planted(core=0, shortcut=8.0, noise=0.1).build(0)["test"]
    assert linear(strong, strong.attributes["shortcut"]) == 1.0
    assert linear(strong, strong.y) < 0.6


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.floats(0, 1), st.integers(2, 4), st.integers(0, 9))
def test_correlated_shares_are_exact(labels, share, n_values, seed):
    y = np.array(labels)
    values = correlated(y, share, np.random.default_rng(seed), n_values)
    assert set(values) <= set(range(n_values))
    for label in set(labels):
        here = y == label
        assert (values[here] == label % n_values).sum() == round(share * here.sum())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 9))
def test_equal_groups_are_equal(labels, seed):
    codes = np.array(labels)
    rows = equal_groups(codes, 4, np.random.default_rng(seed))
    least = np.bincount(codes, minlength=4).min()
    assert np.bincount(codes[rows], minlength=4).tolist() == [least] * 4
    assert np.all(np.diff(rows) > 0)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.floats(0, 1))
def test_induced_keeps_as_much_as_the_share_allows(n_with, n_against, share):
    y, agrees = np.zeros(n_with + n_against, int), np.arange(n_with + n_against) < n_with
    rows = induced(y, agrees, share, np.random.default_rng(0))
    kept = agrees[rows].sum(), (~agrees[rows]).sum()
    assert abs(kept[0] - share * len(rows)) <= 1
    assert kept[0] >= n_with - 1 or kept[1] >= n_against - 1
