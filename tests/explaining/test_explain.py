"""`longway.explain` on every kind of model it knows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from longway import ERM, HSFM, SITAR, GroupedDataset, SITARHead, explain, infer_groups
from longway.auditing import Advice
from longway.datasets import make_coloured_digits, make_planted_shortcut
from longway.explaining._explain import log_odds
from longway.utils.errors import LongwayError

TRAIN = make_planted_shortcut(800, correlation=0.95, seed=0)
TEST = make_planted_shortcut(400, correlation=0.5, seed=1)
X, Y = np.concatenate([TRAIN.X, TEST.X]), np.concatenate([TRAIN.y, TEST.y])
SPLIT = np.array(["train"] * 800 + ["test"] * 400)
SHORTCUT = {"shortcut": np.concatenate([TRAIN.shortcut, TEST.shortcut])}


@pytest.fixture(scope="module")
def head():
    return SITARHead().fit(TRAIN.X, TRAIN.y)


@pytest.fixture(scope="module")
def digits():
    data = make_coloured_digits(seed=100)["train"]
    rows = np.random.default_rng(0).permutation(len(data.X))[:200]
    return data.X[rows], data.y[rows], data.colour[rows]


@pytest.fixture(scope="module")
def networks(digits):
    images, y, _ = digits
    return (
        ERM(epochs=2, batch_size=64).fit(images, y),
        SITAR(epochs=2, first_epochs=4, batch_size=16, latent_dim=4, beta=0.1, channels=(8, 8), learning_rate=3e-3).fit(
            images, y
        ),
    )


def test_a_head_with_named_axes(head):
    found = explain(head, X, Y, split=SPLIT, metadata=SHORTCUT, source="my birds", n_axes=5)
    assert (found.part, found.n, found.n_given, found.kind) == ("test", 400, 1200, "features")
    assert found.flat == head.axes_
    assert [each.score for each in found.axes] == sorted(head.shortcut_scores_, reverse=True)[:5]
    values = head.project(TEST.X)
    for each in found.axes:
        assert np.allclose(each.values, values[:, each.index])
        assert each.flat == (each.index in head.axes_)
        assert (each.effect < 1e-9) == each.flat
        assert each.advice == Advice("sitarhead", {"axes": [each.index]})
        assert each.python == f"longway.SITARHead(axes=[{each.index}]).fit(X, y)"
        assert each.command == ""
        low, high = each.low[0], each.high[0]
        assert low.value == each.values.min()
        assert high.value == each.values.max()
        assert found.rows[low.row] == 800 + each.values.argmin() == int(low.id)
        assert low.predicted == str(head.predict(TEST.X[[each.values.argmin()]])[0])
    assert list(found.reliance[0].by_model) == ["ERM", "SITARHead"]
    assert found.accuracy["SITARHead"].value == head.score(TEST.X, TEST.y)


def test_naming_the_axis_that_the_samples_show_makes_the_head_flat_there(head):
    found = explain(head, TEST.X, TEST.y, n_axes=20)
    shown = max(found.axes, key=lambda each: abs(np.corrcoef(each.values, TEST.shortcut)[0, 1]))
    named = SITARHead(axes=[shown.index]).fit(TRAIN.X, TRAIN.y)
    again = explain(named, X, Y, split=SPLIT, metadata=SHORTCUT)
    assert again.flat == (shown.index,)
    (reliance,) = again.reliance
    assert abs(reliance.by_model["SITARHead"].value) < abs(reliance.by_model["ERM"].value)


def test_the_effect_of_an_axis_is_what_moving_along_it_does(head):
    named = SITARHead(axes=[]).fit(TRAIN.X, TRAIN.y)
    found = explain(named, TEST.X, TEST.y, n_axes=20)
    back = np.linalg.pinv(named.components_) * named.module_.standardize.std.numpy()
    for each in found.axes[:3]:
        step = 0.5 * each.values.std() * back[each.index]
        moved = named.predict_proba(TEST.X + step) - named.predict_proba(TEST.X - step)
        assert np.isclose(each.effect, np.abs(moved).max(1).mean(), atol=1e-6)


def test_other_parameters_of_the_head_stay_in_the_advice():
    model = SITARHead(n_axes=6, l2=0.1, axes=[1]).fit(TRAIN.X, TRAIN.y)
    found = explain(model, TEST.X, TEST.y)
    for each in found.axes:
        assert each.advice.settings == {"axes": [each.index], "n_axes": 6, "l2": 0.1}
        assert each.python == f"longway.SITARHead(axes=[{each.index}], l2=0.1, n_axes=6).fit(X, y)"


def test_hsfm_edits():
    model = HSFM(epochs=4).fit(TRAIN.X, TRAIN.y)
    found = explain(model, X, Y, split=SPLIT, metadata=SHORTCUT, n_examples=3)
    edits = found.edits
    assert edits.n == len(model.support_labels_)
    assert [each.label for each in edits.classes] == ["0", "1"]
    assert len(edits.neighbours) == 6
    for each in edits.neighbours:
        assert SPLIT[found.rows[each.before.row]] == "train"
        assert each.before.value < 1e-9  # a support row is a training row
        assert each.before.label == each.label
        assert 0 < each.moved < 1
        assert -1 <= each.towards.value <= 1
    spread = TRAIN.X.std(0)
    edit = (model.support_after_ - model.support_before_) / spread
    for code, each in enumerate(edits.classes):
        mean = edit[model.support_labels_ == code].mean(0)
        assert np.allclose(each.along.values, (TEST.X - TRAIN.X.mean(0)) / spread @ mean)
        assert {a.attribute for a in each.alignment} == {"the label", "shortcut = 1"} or {
            a.attribute for a in each.alignment
        } == {"the label", "shortcut = 0"}
    assert "val_average" in found.curves["HSFM"][0]
    (reliance,) = found.reliance
    assert abs(reliance.by_model["HSFM"].value) < abs(reliance.by_model["ERM"].value)


def test_networks_on_images(networks, digits):
    images, y, colour = digits
    erm, sitar = networks
    found = explain(sitar, images, y, metadata={"colour": colour}, beside={"plain": erm}, n_examples=4)
    assert found.kind == "images"
    assert len(found.axes) == 4
    assert found.axes[0].traversal.shape == (9, 3, 10, 10)
    assert np.allclose(found.axes[0].values, sitar.latents(images)[:, found.axes[0].index])
    assert all(0 <= each.effect <= 1 for each in found.axes)
    assert len(found.heat) == 4
    assert {each.example.label for each in found.heat} == {"0", "1"}
    for each in found.heat:
        assert list(each.maps) == ["plain", "SITAR"]
        assert each.maps["plain"].shape == (10, 10)
        assert each.predicted["SITAR"] == each.example.predicted
    assert set(found.curves) == {"plain", "SITAR"}
    assert [record["epoch"] for record in found.curves["plain"]] == [1, 2]
    assert not any(layer._forward_hooks for model in networks for layer in model.module_.modules())


def test_images_on_which_models_disagree_come_first(networks, digits):
    images, y, _ = digits
    erm, sitar = networks
    said = [model.predict(images) for model in (erm, sitar)]
    found = explain(sitar, images, y, beside=erm, n_examples=2)
    for each in found.heat:
        own = y == int(each.example.label)
        if (said[0] != said[1])[own].any():
            assert each.predicted["ERM"] != each.predicted["SITAR"]


def test_inferred_groups(digits):
    images, y, _ = digits
    groups = infer_groups(images, y, epochs=2, latent_dim=3)
    found = explain(groups, images, y)
    assert (found.method, found.name, found.accuracy, found.answers) == ("AxisGroups", "inferred groups", {}, ())
    assert np.allclose(found.axes[0].values, groups.latents[:, found.axes[0].index], atol=1e-5)
    assert np.array_equal(found.axes[0].traversal, groups.traverse()[found.axes[0].index])
    assert found.axes[0].low[0].predicted == ""
    assert found.notes == groups.caveats
    features = infer_groups(TRAIN.X, TRAIN.y, epochs=2, latent_dim=3)
    assert explain(features, TRAIN.X, TRAIN.y).axes[0].traversal is None


def test_many_classes():
    generator = np.random.default_rng(0)
    y = np.array([f"class {k}" for k in range(9)])[np.arange(450) % 9]
    points = generator.normal(size=(450, 12))
    points[:, 0] += np.arange(450) % 9
    model = ERM().fit(points, y)
    found = explain(model, points, y, metadata={"spot": generator.random(450) < 0.3})
    assert len(found.answers) == 6
    odds = log_odds(model, points)
    p = model.predict_proba(points)
    assert np.allclose(odds, np.log(p / (1 - p)), atol=1e-3)
    assert found.answers[0].high[0].value == odds[:, found.answers[0].index].max()
    assert list(found.reliance[0].by_model) == ["ERM"]


def test_a_data_set_and_its_columns():
    data = GroupedDataset(X, Y, SHORTCUT, split=SPLIT, label="bird", source="birds.csv")
    found = explain(ERM().fit(TRAIN.X, TRAIN.y), data, part="train")
    assert (found.part, found.n, found.source) == ("train", 800, "birds.csv")
    assert found.reliance[0].attribute.startswith("shortcut")
    assert explain(ERM().fit(TRAIN.X, TRAIN.y), data, part="all").n == 1200


def test_memory_stays_small_and_results_the_same():
    features = X.astype(np.float16)
    model = HSFM(epochs=2, n_refits=1).fit(features[:800], TRAIN.y)
    first, second = (explain(model, features, Y, split=SPLIT, max_rows=100).to_dict() for _ in range(2))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert 90 <= first["n"] <= 110
    assert json.loads(json.dumps(first, allow_nan=False)) == first


def test_global_randomness_is_left_alone(head):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    explain(head, TEST.X, TEST.y, metadata={"shortcut": TEST.shortcut})
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


WRONG = {
    "no model": ({"model": "erm"}, "model is a str: give a fitted method of Longway"),
    "no labels": ({"y": None}, "y is None: this needs the labels"),
    "other labels": ({"y": np.where(TEST.y, "a", "b")}, "y holds labels that the training data did not"),
    "other width": ({"data": TEST.X[:, :3]}, "X has 3 features"),
    "not finite": ({"data": np.where(np.arange(20) == 2, np.nan, TEST.X)}, "NaN"),
    "part": ({"split": SPLIT[800:], "part": "tset"}, "part='tset' is no part of memory; did you mean 'test'?"),
    "missing part": ({"split": SPLIT[800:], "part": "val"}, "part='val' is no part of memory"),
    "no split": ({"part": "test"}, "part='test' is no part of memory"),
    "metadata": ({"metadata": {"a": [1, 2]}}, r"metadata['a'] has shape (2,)"),
    "axes": ({"n_axes": 0}, "n_axes=0 must be a whole number, 1 or more"),
    "examples": ({"n_examples": True}, "n_examples=True must be a whole number, 1 or more"),
    "rows": ({"max_rows": 1.5}, "max_rows=1.5 must be a whole number, 1 or more"),
    "decoder": ({"decoder": lambda X: X}, "decoder draws the edits of HSFM: leave it out"),
    "same name": ({"beside": {"SITARHead": 1}}, "beside"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input(head, case):
    changes, message = WRONG[case]
    if case == "same name":
        changes = {"beside": {"SITARHead": head}}
        message = "beside holds another model named 'SITARHead': give the models different names"
    arguments = {"model": head, "data": TEST.X, "y": TEST.y, **changes}
    with pytest.raises(LongwayError) as raised:
        explain(arguments.pop("model"), arguments.pop("data"), arguments.pop("y"), **arguments)
    assert message in str(raised.value)


def test_models_that_cannot_stand_side_by_side(head, digits, networks):
    images, y, _ = digits
    with pytest.raises(NotFittedError):
        explain(ERM(), TEST.X, TEST.y)
    with pytest.raises(LongwayError, match=r"beside: ERM takes inputs of shape \(3, 10, 10\), the model \(20,\)"):
        explain(head, TEST.X, TEST.y, beside=networks[0])
    named = ERM().fit(TEST.X, np.where(TEST.y, "a", "b"))
    with pytest.raises(LongwayError, match="beside: ERM knows other classes than the model"):
        explain(head, TEST.X, TEST.y, beside=named)
    groups = infer_groups(images, y, epochs=1, latent_dim=2)
    with pytest.raises(LongwayError, match="beside: inferred groups make no predictions"):
        explain(groups, images, y, beside=networks[0])
    with pytest.raises(LongwayError, match="must hold images of shape"):
        explain(networks[0], TEST.X, TEST.y)
