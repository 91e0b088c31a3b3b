import json

import numpy as np
import pytest

from longway import RWG, AxisGroups, LongwayError, infer_groups
from longway.data.samples import Samples
from longway.datasets import make_coloured_digits, make_planted_shortcut


@pytest.fixture(scope="module")
def digits():
    return make_coloured_digits()


@pytest.fixture(scope="module")
def found(digits):
    train = digits["train"]
    return infer_groups(train.X, train.y, epochs=40, batch_size=64)


def test_axes_of_coloured_digits_are_the_colour(digits, found):
    agreement = (found.attribute == digits["train"].colour).mean()
    assert max(agreement, 1 - agreement) > 0.99
    assert found.scores[found.axes[0]] == found.scores.max()
    assert not found.caveats


def test_new_images_get_the_same_groups(digits, found):
    ood = digits["ood"]
    groups = found.assign(Samples(ood.X, ood.y, np.ones(len(ood.y))))
    pairs = {(a, b) for a, b in zip(groups.tolist(), ood.groups.tolist(), strict=True)}
    assert len(pairs) <= 6  # one to one but for a stray sample


def test_walks_along_the_axes_start_and_end_apart(found):
    walks = found.traverse(5)
    assert walks.shape == (10, 5, 3, 10, 10)
    moved = np.abs(walks[:, 0] - walks[:, -1]).mean((1, 2, 3))
    assert moved[found.axes[0]] == moved.max()


def test_doubts_are_said():
    perfect = make_planted_shortcut(300, correlation=1.0)
    assert any("contradicts" in doubt for doubt in infer_groups(perfect.X, perfect.y, latent_dim=3).caveats)
    generator = np.random.default_rng(0)
    noise = infer_groups(generator.normal(size=(300, 5)), np.arange(300) % 2, latent_dim=3)
    assert any("no axis is clearly associated" in doubt for doubt in noise.caveats)


def test_rwg_records_how_to_find_its_groups_again():
    data = make_planted_shortcut(600, correlation=0.9)
    method = RWG(group_inference_params={"latent_dim": 3}).fit(data.X, data.y)
    assert method.supervision_ == "none"
    again = infer_groups(data.X, data.y, seed=method.group_inference_["seed"], latent_dim=3)
    np.testing.assert_allclose(again.scores, method.group_inference_["scores"])
    assert RWG().fit(data.X, data.y, groups=data.groups).supervision_ == "train_groups"


def test_unknown_ways_and_options():
    X, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    with pytest.raises(LongwayError, match="did you mean 'axes'"):
        infer_groups(X, y, "axis")
    with pytest.raises(LongwayError, match="did you mean 'epochs'"):
        infer_groups(X, y, epoch=3)
    with pytest.raises(LongwayError, match="folds=1 must be a whole number, 2 or more"):
        infer_groups(X, y, "errors", folds=1)


def agreement(found, data):
    """Share of rows whose group is right, groups of each class matched one to one."""
    right = 0
    for code in (0, 1):
        mine, true = found.attribute[data.y == code], data.shortcut[data.y == code]
        table = np.array([[((mine == a) & (true == b)).sum() for b in (0, 1)] for a in range(found.n_values)])
        right += max(table[a, 0] + table[b, 1] for a in range(len(table)) for b in range(len(table)) if a != b)
    return right / len(data.y)


@pytest.mark.parametrize(
    ("strategy", "least"), [("axes", 0.97), ("errors", 0.96), ("clusters", 0.96), ("disagreement", 0.9)]
)
def test_every_way_finds_a_planted_shortcut(strategy, least):
    data, other = (
        make_planted_shortcut(1000, correlation=min_relative_score, seed=seed)
        for seed, min_relative_score in ((0, 0.9), (1, 0.7))
    )
    found = infer_groups(data.X, data.y, strategy)
    assert agreement(found, data) > least
    assert not found.caveats
    np.testing.assert_array_equal(found.groups, found.n_values * data.y + found.attribute)
    groups = found.assign(Samples(other.X, other.y, np.ones(1000)))
    np.testing.assert_array_equal(groups // found.n_values, other.y)
    assert set(groups) <= set(found.groups)
    json.dumps(found.summary())
    assert isinstance(found, AxisGroups) == (strategy == "axes")


@pytest.mark.parametrize("strategy", ["errors", "clusters", "disagreement"])
def test_ways_on_images(digits, strategy):
    train = digits["train"]
    X, y, colour = train.X[::4], train.y[::4], train.colour[::4]
    options = {"epochs": 10, "early_epochs": 3} if strategy == "disagreement" else {"epochs": 6}
    found = infer_groups(X, y, strategy, **options)
    assert found.attribute.shape == y.shape
    if strategy == "errors":
        contradicts = colour != y
        assert (found.attribute == contradicts).mean() > 0.9
    again = infer_groups(X, y, strategy, **options)
    np.testing.assert_array_equal(found.groups, again.groups)


def test_no_row_is_judged_by_a_classifier_that_saw_it():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(60, 200)), np.arange(60) % 2
    # More features than rows: a head is right on all that it saw, and guesses the rest.
    found = infer_groups(X, y, "errors", l2=1e-3)
    assert 0.3 < found.attribute.mean() < 0.7
    assert any("hardly better than guessing" in doubt for doubt in found.caveats)


def test_an_empty_error_set_is_refused():
    y = np.arange(60) % 2
    X = np.stack([100.0 * y, np.random.default_rng(0).normal(size=60)], 1)
    with pytest.raises(LongwayError, match=r"right on every sample.*Make it weaker with group_inference_params"):
        infer_groups(X, y, "errors")
    with pytest.raises(LongwayError, match=r"agree on every sample.*group_inference_params"):
        infer_groups(X, y, "disagreement")
    with pytest.raises(LongwayError, match="early_epochs=5 must be below epochs=5"):
        infer_groups(X, y, "disagreement", epochs=5, early_epochs=5)


def test_clusters_of_each_class_are_chosen_by_themselves():
    generator = np.random.default_rng(0)
    y = np.repeat([0, 1], 300)
    centres = np.concatenate([np.repeat([-8, 8], 150), np.repeat([-8, 0, 8], 100)])
    X = np.stack([centres + generator.normal(size=600), 5 * y + generator.normal(size=600)], 1)
    found = infer_groups(X, y, "clusters")
    assert found.summary()["clusters"] == [2, 3]
    assert np.bincount(found.groups).tolist() == [150, 150, 0, 100, 100, 100]
    assert infer_groups(X, y, "clusters", n_clusters=4).summary()["clusters"] == [4, 4]
    noise = infer_groups(generator.normal(size=(300, 8)), np.arange(300) % 2, "clusters")
    assert any("no clear clusters" in doubt for doubt in noise.caveats)


@pytest.mark.parametrize("strategy", ["errors", "clusters", "disagreement"])
def test_group_aware_methods_take_any_way(strategy):
    data = make_planted_shortcut(600, correlation=0.85)
    method = RWG(group_inference=strategy).fit(data.X, data.y)
    assert method.group_inference_["strategy"] == strategy
    assert method.supervision_ == "none"
    again = infer_groups(data.X, data.y, strategy, seed=method.group_inference_["seed"])
    assert again.summary()["group_sizes"] == method.group_inference_["group_sizes"]


def test_features_of_whole_numbers_are_features():
    X = np.random.default_rng(0).integers(0, 5, (80, 4))
    assert infer_groups(X, X[:, 0] > 2, epochs=1).scores.max() <= 1
