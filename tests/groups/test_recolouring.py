import numpy as np
import pytest
import torch

from longway.data.samples import Samples
from longway.datasets import make_coloured_digits
from longway.groups import infer_groups, recolouring

OPTIONS = {"epochs": 30, "batch_size": 64, "channels": (16, 32)}


@pytest.fixture(scope="module")
def perfect():
    """Coloured digits without one that contradicts the colour, and the axes found on them."""
    train = make_coloured_digits(train_correlation=1.0)["train"]
    return train, infer_groups(train.X, train.y, **OPTIONS)


def test_recolouring_makes_the_samples_that_contradict_the_shortcut(perfect):
    train, found = perfect
    rows = Samples(train.X, train.y, np.ones(len(train.y)))
    maps = recolouring(rows, found, seed=0)
    assert maps.is_the_shortcut, maps.flipped
    images, of = torch.from_numpy(train.X[:50]), torch.from_numpy(found.attribute[:50])
    swapped = maps.apply(images, of, 1 - of)
    # Ink of the other colour in the same places: red for green, nothing else
    torch.testing.assert_close(swapped, images[:, [1, 0, 2]], atol=0.03, rtol=0)
    torch.testing.assert_close(maps.apply(images, of, of), images)


def test_a_shortcut_of_shape_is_not_recoloured():
    generator = np.random.default_rng(0)
    y = np.arange(600) % 2
    X = 0.1 * generator.random((600, 3, 8, 8))
    mark = np.where(generator.random(600) < 0.95, y, 1 - y)
    X[mark == 0, :, :4] += 0.8
    X[mark == 1, :, 4:] += 0.8
    found = infer_groups(X.astype(np.float32), y, **OPTIONS)
    assert max((found.attribute == mark).mean(), (found.attribute != mark).mean()) > 0.99
    maps = recolouring(Samples(X.astype(np.float32), y, np.ones(600)), found, seed=0)
    assert maps.flipped < 0.1
    assert not maps.is_the_shortcut
