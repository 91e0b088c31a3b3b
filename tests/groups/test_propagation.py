"""Groups of labelled rows, spread to rows without."""

import numpy as np
import pytest

from longway.data.samples import Samples
from longway.groups import propagate_groups


def planted(n: int, generator: np.random.Generator, rare: float = 0.1) -> tuple[Samples, np.ndarray]:
    """Rows whose first feature tells the class and whose second the attribute, which is rarely not the class."""
    y = generator.integers(0, 2, n)
    attribute = np.where(generator.random(n) < rare, 1 - y, y)
    X = generator.normal(size=(n, 6))
    X[:, 0] += 3 * y
    X[:, 1] += 4 * attribute
    groups = 2 * y + attribute
    return Samples(X, y, np.ones(n), groups), groups


def test_rows_get_the_group_that_they_look_like():
    generator = np.random.default_rng(0)
    rows, truth = planted(2000, generator)
    labelled, _ = planted(300, generator)
    found = propagate_groups(rows.grouped(None), labelled)
    assert (found // 2 == rows.y).all()
    assert (found == truth).mean() > 0.95


def test_a_group_is_as_common_in_its_class_as_among_the_labelled():
    generator = np.random.default_rng(1)
    rows, _ = planted(1000, generator, rare=0.4)
    labelled, known = planted(200, generator, rare=0.05)
    found = propagate_groups(rows, labelled)
    for code in (0, 1):
        wanted = np.bincount(known[labelled.y == code], minlength=4) / np.sum(labelled.y == code)
        given = np.bincount(found[rows.y == code], minlength=4) / np.sum(rows.y == code)
        assert given == pytest.approx(wanted, abs=0.01)


def test_what_cannot_be_told_apart():
    rows, _ = planted(50, np.random.default_rng(2))
    same = Samples(rows.X, rows.y, rows.weight, np.full(50, 7))
    assert (propagate_groups(rows, same) == 7).all()
    lacking = rows.take(np.flatnonzero(rows.y == 1))
    assert (propagate_groups(rows, lacking)[rows.y == 0] == 0).all()
