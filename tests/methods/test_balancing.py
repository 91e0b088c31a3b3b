import numpy as np

from longway import ERM, RWY, SUBG, SUBY
from longway.data.weights import draw_equally, inverse_frequency
from longway.datasets import make_planted_shortcut


def test_every_code_weighs_the_same():
    codes, weight = np.array([0, 0, 0, 1, 3]), np.array([1.0, 2, 0, 5, 0])
    sums = np.bincount(codes, weight * inverse_frequency(codes, weight))
    np.testing.assert_allclose(sums, [1, 1, 0, 0])


def test_draws_are_equal_and_random():
    codes = np.repeat([0, 1, 2], [50, 20, 7])
    usable = np.arange(77) % 2 == 0
    first, second = (draw_equally(codes, np.random.default_rng(seed), usable) for seed in (0, 1))
    assert np.bincount(codes[first]).tolist() == [4, 4, 4]
    assert usable[first].all()
    assert not np.array_equal(first, second)


def test_balanced_classes_are_as_many_samples_would_be():
    data = make_planted_shortcut(300, correlation=0.5, minority=0.2)
    copies = np.concatenate([np.flatnonzero(data.y == 0), np.repeat(np.flatnonzero(data.y == 1), 4)])
    repeated = ERM().fit(data.X[copies], data.y[copies])
    np.testing.assert_allclose(
        RWY().fit(data.X, data.y).predict_proba(data.X), repeated.predict_proba(data.X), atol=1e-6
    )


def test_subsampling_of_equal_parts_is_erm():
    data = make_planted_shortcut(400, correlation=0.5)
    erm = ERM().fit(data.X, data.y).predict_proba(data.X)
    np.testing.assert_array_equal(SUBY().fit(data.X, data.y).predict_proba(data.X), erm)
    subsampled = SUBG().fit(data.X, data.y, groups=data.y).predict_proba(data.X)
    np.testing.assert_allclose(subsampled, erm, rtol=1e-9)
