import numpy as np
import pytest

from longway import ERM, LongwayError, SITARHead, evaluate_groups
from longway.datasets import make_planted_shortcut

TRAIN = make_planted_shortcut(2000, correlation=1.0)
TEST = make_planted_shortcut(2000, correlation=0.5, seed=1)


def drawn(n, correlation, seed=0):
    """Draw a plain shortcut, which twelve features show, and a weaker core, which four show."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    shortcut = np.where(generator.random(n) < correlation, y, 1 - y)
    factors = np.stack([1.5 * (2 * shortcut - 1), 0.8 * (2 * y - 1)], 1) + generator.normal(size=(n, 2))
    X = np.repeat(factors, [12, 4], axis=1)
    return X + 0.3 * generator.normal(size=(n, 16)), y, 2 * y + shortcut


def test_without_a_contradicting_sample_it_holds_better_than_an_ordinary_head():
    X, y, _ = drawn(2000, 1.0)
    X_test, y_test, groups = drawn(2000, 0.5, seed=1)
    fitted = SITARHead(min_relative_score=0.8).fit(X, y)
    worst = [evaluate_groups(y_test, m.predict(X_test), groups).worst_group_accuracy for m in (fitted, ERM().fit(X, y))]
    assert worst[0] > worst[1] + 0.1
    assert "taken for the shortcut" in fitted.caveats_[0]


def test_as_many_axes_are_removed_as_leave_enough():
    X, y, _ = drawn(2000, 1.0)
    chance, before = 0.5, ERM().fit(X, y).score(X, y)
    removed = []
    for kept in (0.0, 0.5, 0.9):
        fitted = SITARHead(min_relative_score=0.05, retained_fraction=kept).fit(X, y)
        assert fitted.selection_["score"] - chance >= kept * (before - chance) - 0.02
        removed.append(fitted.axes_)
    assert len(removed[0]) > len(removed[1]) >= len(removed[2])
    assert removed[0][: len(removed[1])] == removed[1]


def test_validation_groups_choose_the_better_head():
    X, y, _ = drawn(2000, 1.0)
    eval_set = drawn(600, 0.5, seed=2)
    assert SITARHead(min_relative_score=0.8).fit(X, y, eval_set=eval_set).axes_
    core_only = drawn(2000, 0.5, seed=3)
    fitted = SITARHead(min_relative_score=0.8).fit(*core_only[:2], eval_set=eval_set)
    assert fitted.axes_ == ()
    assert "no worse" in fitted.caveats_[0]
    assert fitted.supervision_ == "val_groups"


def test_the_head_is_flat_along_the_axes_that_are_named():
    fitted = SITARHead(axes=[0, 3]).fit(TRAIN.X, TRAIN.y)
    moved = TRAIN.X[:50] + (np.linalg.pinv(fitted.components_)[[0, 3]].sum(0) * fitted.module_.standardize.std.numpy())
    assert np.allclose(fitted.decision_function(moved), fitted.decision_function(TRAIN.X[:50]), atol=1e-8)
    assert fitted.axes_ == (0, 3)
    assert fitted.caveats_ == ()


def test_axes_are_white_within_classes():
    axes = SITARHead(validation_fraction=0.5).fit(TRAIN.X, TRAIN.y, eval_set=(TEST.X, TEST.y)).project(TRAIN.X)
    for code in (0, 1):
        axes[TRAIN.y == code] -= axes[TRAIN.y == code].mean(0)
    assert np.allclose(axes.T @ axes / len(axes), np.eye(20), atol=1e-6)


def test_nothing_is_removed_where_nothing_else_tells_the_label():
    generator = np.random.default_rng(0)
    y = np.arange(600) % 2
    X = generator.normal(size=(600, 8))
    X[:, 0] += 4 * y
    fitted = SITARHead().fit(X, y)
    assert fitted.axes_ == ()
    assert "ordinary" in fitted.caveats_[0]
    assert fitted.score(X, y) > 0.95


@pytest.mark.parametrize("axes", ["top", [20], [-1], [0.5]])
def test_axes_that_do_not_exist_are_refused(axes):
    with pytest.raises(LongwayError, match="axes="):
        SITARHead(axes=axes).fit(TRAIN.X, TRAIN.y)


def test_three_classes_and_names():
    data = make_planted_shortcut(600, correlation=1.0)
    y = np.array(["a", "b", "c"])[np.where(data.X[:, 0] > 1, 2, data.y)]
    assert set(SITARHead().fit(data.X, y).predict(data.X)) <= set(y)
