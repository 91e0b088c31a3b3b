import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

from longway.groups._clustering import cluster_points
from longway.groups.axes import matched_agreement


def bars(n, seed=0):
    """Draw three long bars side by side, of which the last is rare."""
    generator = np.random.default_rng(seed)
    part = generator.choice(3, n, p=[0.6, 0.35, 0.05])
    return np.stack([generator.normal(size=n), 0.3 * part + 0.03 * generator.normal(size=n)], 1), part


def test_parts_that_are_narrow_and_of_many_sizes_are_found():
    points, part = bars(900)
    found = cluster_points(points, 3, seed=0)
    assert matched_agreement(found.predict(points), part) > 0.99
    assert matched_agreement(KMeans(3, n_init=10, random_state=0).fit_predict(points), part) < 0.7


def test_points_off_all_parts_belong_to_the_side_they_are_on():
    generator = np.random.default_rng(0)
    wide, narrow = generator.normal(size=(400, 2)) * [0.3, 1.0], [3.0, 0.0] + 0.02 * generator.normal(size=(400, 2))
    cut = cluster_points(np.concatenate([wide, narrow]), 2, seed=0)
    assert set(cut.predict([[2.6, 0.0], [3.5, 1.0], [5.0, -1.0]])) == {cut.predict([[3.0, 0.0]])[0]}


def test_points_without_gaps_are_halved_along_their_widest_direction():
    points = np.random.default_rng(0).normal(size=(800, 2)) * [1.0, 0.3]
    cut = cluster_points(points, 2, seed=0)
    assert isinstance(cut, KMeans)
    assert matched_agreement(cut.predict(points), (points[:, 0] > 0).astype(int)) > 0.9


def test_a_seed_gives_one_cut_and_points_keep_their_part():
    points, _ = bars(12_000)
    first, again = (cluster_points(points, 3, seed=1) for _ in range(2))
    assert isinstance(first, LogisticRegression)
    assert (first.predict(points) == again.predict(points)).all()


def test_equal_points_and_few_points_stop_nothing():
    assert set(cluster_points(np.repeat([[0.0], [1.0]], 20, axis=0), 2, seed=0).predict(np.array([[0.0], [1.0]]))) == {
        0,
        1,
    }
    assert len(cluster_points(np.array([[0.0, 1.0], [2.0, 0.0]]), 2, seed=0).predict(np.zeros((3, 2)))) == 3
