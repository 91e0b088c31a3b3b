"""What is particular to the methods that retrain a head on features."""

import numpy as np
import pytest

from longway import AFR, DFR, LLR, LORT, LongwayError, Selective
from longway.data.samples import Samples
from longway.datasets import make_planted_shortcut
from longway.groups import InferredGroups
from longway.methods.dfr import SMALLEST, group_balanced_draws

TRAIN, VAL = (make_planted_shortcut(600, correlation=0.9, seed=seed) for seed in range(2))
EVAL_SET = (VAL.X, VAL.y, VAL.groups)


def rows_of(sizes, weight=None):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return Samples(np.zeros((len(groups), 1)), groups % 2, np.ones(len(groups)) if weight is None else weight, groups)


def test_draws_have_equally_many_rows_of_each_group():
    rows = rows_of([40, 12, 30, 20])
    draws = group_balanced_draws(rows, 5, np.random.default_rng(0))
    for draw in draws:
        assert np.bincount(rows.groups[draw > 0]).tolist() == [12] * 4
        assert set(draw) == {0, 1}
    assert len({tuple(draw) for draw in draws}) == 5


def test_a_tiny_group_counts_as_much_and_does_not_shrink_the_others():
    rows = rows_of([40, 2])
    (draw,) = group_balanced_draws(rows, 1, np.random.default_rng(0))
    assert np.bincount(rows.groups[draw > 0]).tolist() == [SMALLEST, 2]
    np.testing.assert_allclose(np.bincount(rows.groups, draw), SMALLEST)


def test_rows_of_weight_zero_are_not_drawn():
    weight = np.ones(52)
    weight[:5] = 0
    (draw,) = group_balanced_draws(rows_of([40, 12], weight), 1, np.random.default_rng(0))
    assert draw[:5].sum() == 0


@pytest.mark.parametrize("method", [DFR(n_refits=2), LLR(), LORT(), Selective(), AFR()], ids=lambda m: type(m).__name__)
def test_validation_data_without_a_class_leave_training_data_to_retrain_on(method):
    some = VAL.y == 0
    method.fit(TRAIN.X, TRAIN.y, eval_set=(VAL.X[some], VAL.y[some], VAL.groups[some]))
    assert method.retrained_on_ == "training data"
    assert set(method.predict(VAL.X)) == {0, 1}


def test_dfr_does_not_look_at_training_groups_where_validation_groups_are_given():
    plain = DFR(n_refits=2).fit(TRAIN.X, TRAIN.y, eval_set=EVAL_SET)
    given = DFR(n_refits=2).fit(TRAIN.X, TRAIN.y, eval_set=EVAL_SET, groups=TRAIN.groups)
    assert plain.supervision_ == given.supervision_ == "val_groups"
    assert plain.group_inference_ == {}
    np.testing.assert_array_equal(plain.predict_proba(VAL.X), given.predict_proba(VAL.X))
    on_train = DFR(on="train", n_refits=2).fit(TRAIN.X, TRAIN.y, eval_set=EVAL_SET, groups=TRAIN.groups)
    assert on_train.supervision_ == "train_groups"


@pytest.mark.parametrize("given", [True, False])
def test_one_stray_validation_row_is_no_group(monkeypatch, given):
    """It would weigh as much as a hundred rows, and as no setting gets it right, the settings would all seem equal."""
    train, val = (make_planted_shortcut(n, correlation=0.5, seed=n) for n in (400, 200))
    stray = np.arange(200) == 0

    class Found(InferredGroups):
        strategy = "axes"

        def attribute_of(self, rows):
            return (np.arange(len(rows)) == 0).astype(int)

    def find(rows, *_, **__):
        attribute = (np.arange(len(rows)) < 24).astype(int)  # a group in training, of which next to none are set aside
        return Found(attribute, 2 * rows.y + attribute, 2, ())

    monkeypatch.setattr("longway.methods._group_aware.find_groups", find)
    method, seen = DFR(n_refits=2, validation_fraction=0.05), []
    monkeypatch.setattr(method, "_final", lambda *call: seen.append(call[1].pool) or DFR._final(method, *call))
    y = np.where(stray, 1 - val.y, val.y)
    method.fit(train.X, train.y, eval_set=(val.X, y) if given else None)
    assert np.unique(seen[0].groups, return_counts=True)[1].min() > 1
    assert np.bincount(method.predict(val.X), minlength=2).min() > 50


def test_every_setting_is_recorded_and_the_best_is_chosen():
    method = AFR(gammas=(0, 4), l2_to_init=(0.01, 0.1, 1)).fit(TRAIN.X, TRAIN.y, eval_set=EVAL_SET)
    assert len(method.history_) == 6
    assert method.selection_["score"] == max(record["val_worst_group"] for record in method.history_)
    chosen = method.history_[method.selection_["epoch"] - 1]
    assert method.selection_["setting"] == {name: chosen[name] for name in ("gamma", "pull")}


def test_afr_with_an_endless_pull_is_its_first_head():
    weight, bias = np.random.default_rng(0).normal(size=(2, TRAIN.X.shape[1])), np.array([0.1, -0.2])
    method = AFR(head=(weight, bias), l2_to_init=(1e9,), gammas=(4,)).fit(TRAIN.X, TRAIN.y)
    logits = VAL.X @ weight.T + bias
    np.testing.assert_allclose(method.decision_function(VAL.X), logits[:, 1] - logits[:, 0], atol=1e-4)


def test_lort_keeps_logits_as_small_as_its_targets():
    method = LORT(smoothings=(0.98,)).fit(TRAIN.X, TRAIN.y, eval_set=EVAL_SET)
    assert np.abs(method.predict_proba(VAL.X) - 0.5).max() < 0.05


def test_bad_input_of_these_methods():
    with pytest.raises(LongwayError, match="balance='group' needs groups of the validation data: give eval_set="):
        LLR(balance="group").fit(TRAIN.X, TRAIN.y)
    with pytest.raises(LongwayError, match=r"early_head holds a weight of shape \(1,\) and a bias of \(2,\)"):
        Selective(early_head=([1.0], [0.0, 0.0])).fit(TRAIN.X, TRAIN.y)
