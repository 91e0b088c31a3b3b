import numpy as np
import pytest

from longway import RWG, LongwayError, infer_groups
from longway.data.digits import coloured_digits
from longway.data.planted import planted_shortcut
from longway.rows import Rows


@pytest.fixture(scope="module")
def digits():
    return coloured_digits()


@pytest.fixture(scope="module")
def found(digits):
    train = digits["train"]
    return infer_groups(train.X, train.y, epochs=40, beta=0.3, batch_size=64)


def test_axes_of_coloured_digits_are_the_colour(digits, found):
    agreement = (found.attribute == digits["train"].colour).mean()
    assert max(agreement, 1 - agreement) > 0.99
    assert found.scores[found.axes[0]] == found.scores.max()
    assert not found.doubts


def test_new_images_get_the_same_groups(digits, found):
    ood = digits["ood"]
    groups = found.assign(Rows(ood.X, ood.y, np.ones(len(ood.y))))
    pairs = {(a, b) for a, b in zip(groups.tolist(), ood.groups.tolist(), strict=True)}
    assert len(pairs) <= 6  # one to one but for a stray sample


def test_walks_along_the_axes_start_and_end_apart(found):
    walks = found.traverse(5)
    assert walks.shape == (10, 5, 3, 10, 10)
    moved = np.abs(walks[:, 0] - walks[:, -1]).mean((1, 2, 3))
    assert moved[found.axes[0]] == moved.max()


def test_doubts_are_said():
    perfect = planted_shortcut(300, correlation=1.0)
    assert any("contradicts" in doubt for doubt in infer_groups(perfect.X, perfect.y, latent_dim=3).doubts)
    generator = np.random.default_rng(0)
    noise = infer_groups(generator.normal(size=(300, 5)), np.arange(300) % 2, latent_dim=3)
    assert any("no axis is plainly associated" in doubt for doubt in noise.doubts)


def test_rwg_records_how_to_find_its_groups_again():
    data = planted_shortcut(600, correlation=0.9)
    method = RWG(infer_options={"latent_dim": 3}).fit(data.X, data.y)
    assert method.supervision_ == "none"
    again = infer_groups(data.X, data.y, seed=method.inferred_["seed"], latent_dim=3)
    np.testing.assert_allclose(again.scores, method.inferred_["scores"])
    assert RWG().fit(data.X, data.y, groups=data.groups).supervision_ == "train_groups"


def test_unknown_ways_and_options():
    X, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    with pytest.raises(LongwayError, match="did you mean 'axes'"):
        infer_groups(X, y, "axis")
    with pytest.raises(LongwayError, match="did you mean 'epochs'"):
        infer_groups(X, y, epoch=3)
