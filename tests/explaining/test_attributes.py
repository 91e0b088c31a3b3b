"""Check reliance on attributes against regressions, and alignment against planted directions."""

from __future__ import annotations

import numpy as np
import pytest

from longway.explaining.attributes import Attribute, align, align_with_class, cosine, known_attributes, measure_reliance

N = 600


def drawn(seed=0):
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 3, N)
    has = generator.random(N) < np.array([0.2, 0.5, 0.7])[codes]
    return generator, codes, has


def test_reliance_is_a_regression_on_the_attribute_and_the_classes():
    generator, codes, has = drawn()
    odds = np.stack([2 * has + codes, codes, -1 * has], 1) + generator.normal(size=(N, 3))
    (found,) = measure_reliance([Attribute("spot", has)], {"first": odds, "last": 3 * odds}, codes, ["a", "b", "c"])
    assert (found.attribute, found.label, found.n) == ("spot", "a", has.sum())
    design = np.column_stack([has, np.eye(3)[codes]])
    coefficient = np.linalg.lstsq(design, odds[:, 0], rcond=None)[0][0]
    assert np.isclose(found.logits["first"], coefficient)
    assert np.isclose(found.logits["last"], 3 * coefficient)
    inner = odds[:, 0] - np.array([odds[codes == c, 0].mean() for c in range(3)])[codes]
    assert np.isclose(found.by_model["first"].value, coefficient / inner.std())
    assert np.isclose(found.by_model["first"].value, found.by_model["last"].value)
    low, high = found.by_model["first"].low, found.by_model["first"].high
    assert low < 2 / inner.std() < high
    assert high - low < 0.4


def test_the_largest_decrease_comes_first():
    _, codes, has = drawn()
    other = np.roll(has, 7)
    before = {"before": np.stack([-1 * has - 0.9 * other, has + 0.9 * other], 1)}
    after = {"after": np.stack([-1.0 * has, 1.0 * has], 1)}
    found = measure_reliance(
        [Attribute("kept", has), Attribute("given up", other)], before | after, codes % 2, ["a", "b"]
    )
    assert [each.attribute for each in found] == ["given up", "kept"]
    assert {each.label for each in found} == {"b"}


def test_a_constant_model_relies_on_nothing():
    _, codes, has = drawn()
    (found,) = measure_reliance([Attribute("spot", has)], {"flat": np.zeros((N, 3))}, codes, ["a", "b", "c"])
    assert found.by_model["flat"].value == 0


def test_columns_become_attributes():
    generator, codes, has = drawn()
    columns = {
        "spot": np.where(has, "yes", "no"),
        "size": generator.normal(size=N),
        "constant": np.zeros(N),
        "name": np.arange(N).astype(str),
        "class": codes,
    }
    found, notes = known_attributes(columns, codes)
    names = [each.name for each in found]
    rarer = "yes" if 2 * has.sum() < N else "no"
    assert names == [f"spot = {rarer}", "size, upper half"]  # of the class itself nothing varies within a class
    assert abs(found[1].has.mean() - 0.5) < 0.01
    assert "'name'" in notes[0]


def test_alignment_finds_the_planted_direction():
    generator, codes, has = drawn()
    points = generator.normal(size=(N, 6))
    points[:, 0] += 3 * has
    points[:, 1] += 5 * codes
    other = generator.random(N) < 0.5
    found = align(np.eye(6)[0], points, [Attribute("other", other), Attribute("spot", has)], codes)
    assert [each.attribute for each in found] == ["spot", "other"]
    assert found[0].cosine > 0.95
    assert found[0].auroc > 0.95
    assert abs(found[1].auroc - 0.5) < 0.1
    assert align(-np.eye(6)[0], points, [Attribute("spot", has)], codes)[0].auroc < 0.05
    towards = align_with_class(np.eye(6)[1], points, codes == 2)
    assert towards.cosine > 0.9
    assert towards.auroc > 0.95


@pytest.mark.parametrize("length", [0.0, 1e-320])
def test_no_direction_has_no_angle(length):
    assert cosine(np.full(3, length), np.ones(3)) in (0.0, pytest.approx(1, abs=0.5))
