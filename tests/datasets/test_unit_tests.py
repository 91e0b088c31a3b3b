"""The linear unit tests: environments, shuffled spurious features, rotations."""

import numpy as np
import pytest

from longway import ERM
from longway.datasets.unit_tests import EXAMPLES, UnitTests

from .helpers import fingerprints, sizes


@pytest.mark.parametrize("example", EXAMPLES)
def test_environments_hold_both_classes(example):
    benchmark = UnitTests(example=example, n=200)
    parts = benchmark.build(0)
    assert sizes(parts["train"]) == {f"environment {k}": 200 for k in range(3)}
    assert all(len(np.unique(part.y[part.groups == name])) == 2 for part in parts.values() for name in sizes(part))
    assert parts["train"].X.shape == (600, 10)
    assert fingerprints(parts) == fingerprints(benchmark.build(0))


def test_the_numbers_of_example_2_are_the_printed_ones():
    part = UnitTests(n=20_000).build(0)["train"]
    for k, (p, s) in enumerate(((0.95, 0.3), (0.97, 0.5), (0.99, 0.7))):
        X, y = (values[part.groups == f"environment {k}"] for values in (part.X, part.y))
        assert np.mean(y) == pytest.approx(p * s + (1 - p) * s, abs=0.015)
        assert np.mean((X[:, 5:].mean(1) > 0) == y) == pytest.approx(p, abs=0.01)
        assert X[y == 1, :5].mean() == pytest.approx(0.01, rel=0.05)


def test_means_of_example_3_differ_between_environments():
    part = UnitTests(example="example3", n=2000).build(0)["train"]
    means = [part.X[(part.groups == f"environment {k}") & (part.y == 0)].mean(0) for k in range(3)]
    np.testing.assert_allclose([mean[:5] for mean in means], 0.1, atol=0.01)
    assert np.ptp([mean[5:] for mean in means], axis=0).min() > 0.1


def test_a_rotation_and_shuffling_change_no_more_than_they_should():
    plain, rotated = (UnitTests(example=name, n=500).build(0) for name in ("example3", "example3s"))
    assert not np.allclose(plain["train"].X[:, :5], rotated["train"].X[:, :5])
    test = plain["test"]
    for k in range(3):
        rows = test.groups == f"environment {k}"
        spurious = test.X[rows, 5:]
        assert abs(np.corrcoef(spurious[:, 0], test.y[rows])[0, 1]) < 0.15


def test_the_oracle_is_better_than_erm():
    parts, oracle = (UnitTests(example="example3", n=500, oracle=flag).build(0) for flag in (False, True))
    test = parts["test"]
    errors = [1 - ERM().fit(data["train"].X, data["train"].y).score(test.X, test.y) for data in (parts, oracle)]
    assert errors[1] < 0.02 < 0.1 < errors[0]
