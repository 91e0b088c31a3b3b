"""Whether errors are a group."""

import numpy as np
import pytest
import torch

from longway import RWG, SITAR, LongwayError
from longway.data.samples import Samples
from longway.groups import find_shortcut_evidence, infer_groups
from longway.groups.consistent_errors import consistent_errors

SIZE, HALF = 12, 6


def patches(n: int, correlation: float, core: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise with a bright patch above that goes with the label, and a faint one below that is the label."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, n)
    attribute = np.where(generator.random(n) < correlation, y, 1 - y)
    X = 0.6 * generator.random((n, 1, SIZE, SIZE), np.float32)
    sides = np.zeros((2, SIZE), np.float32)
    sides[0, HALF:] = sides[1, :HALF] = 1
    X[:, 0, :HALF] += 0.4 * sides[attribute][:, None]
    X[:, 0, HALF:] += core * sides[y][:, None]
    return X.clip(0, 1), y, attribute


def found(X: np.ndarray, y: np.ndarray):
    return consistent_errors(Samples(X, y, np.ones(len(y))), 2, seed=0, device="cpu")


def test_errors_that_contradict_a_shortcut_are_a_group():
    X, y, attribute = patches(1500, 0.9, 0.07)
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    errors = found(X, y)
    assert errors.are_a_group
    assert (attribute != y)[errors.found.attribute == 1].mean() > 0.95
    assert errors.summary()["group_sizes"] == np.bincount(2 * y + errors.found.attribute).tolist()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_wrong_labels_are_not():
    errors = found(*patches(1500, 0.9, 0.0)[:2])
    assert errors.overlap > 0.9
    assert errors.learnt == pytest.approx(0, abs=0.1)
    assert not errors.are_a_group


def test_nor_are_images_on_which_classifiers_differ():
    errors = found(*patches(600, 0.5, 0.07)[:2])
    assert errors.overlap < 0.8
    assert errors.learnt == 0
    assert not errors.are_a_group


def test_without_errors_there_is_none():
    assert found(*patches(600, 1.0, 0.07)[:2]) is None


def test_other_errors_are_not_hidden():
    X, y, _ = patches(60, 1.0, 0.07)
    with pytest.raises(LongwayError, match="device='gpux' cannot be used"):
        consistent_errors(Samples(X, y, np.ones(60)), 2, seed=0, device="gpux")


def test_sitar_says_where_nothing_is_sure():
    known = find_shortcut_evidence(Samples(*patches(600, 1.0, 0.07)[:2], np.ones(600)), 2, seed=0, epochs=1)
    assert not known.is_confident
    assert known.summary()["errors"] is None
    assert "the classifier is held back" in known.summary()["caveats"][-1]


def test_sitar_counts_such_errors_as_much_as_the_rest():
    X, y, attribute = patches(1500, 0.9, 0.07)
    method = SITAR(epochs=6, first_epochs=2, batch_size=64).fit(X, y, eval_set=(X[:300], y[:300]))
    assert method.group_inference_["debias_mode"] == "errors"
    assert method.group_inference_["errors"]["overlap"] >= 0.8
    assert method.caveats == ()
    assert method.selection_["rule"] == "worst_group"
    assert (method.predict(X) == y)[attribute != y].mean() > 0.7


def test_group_aware_methods_take_such_errors_for_groups():
    X, y, attribute = patches(1500, 0.9, 0.07)
    method = RWG(epochs=6, batch_size=64, group_inference_params={"epochs": 2}).fit(X, y, eval_set=(X[:300], y[:300]))
    assert method.group_inference_["strategy"] == "errors"
    again = infer_groups(X, y, "errors", seed=method.group_inference_["seed"])
    assert again.summary().items() <= method.group_inference_.items()
    assert (attribute != y)[again.attribute == 1].mean() > 0.95
    assert (method.predict(X) == y)[attribute != y].mean() > 0.7


def test_and_axes_where_there_are_none():
    X, y, _ = patches(600, 1.0, 0.07)
    found, axes = (infer_groups(X, y, strategy, seed=1, epochs=1, device="cpu") for strategy in ("auto", "axes"))
    assert found.strategy == "axes"
    np.testing.assert_array_equal(found.groups, axes.groups)
