import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from longway.data.samples import Samples


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), offset=st.sampled_from([0.0, 1e3, 1e8]), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_moments_in_pieces_equal_scikit_learns(seed, offset, scale):
    generator = np.random.default_rng(seed)
    X, weight = generator.normal(size=(70, 3)) * scale + offset, generator.integers(0, 3, 70).astype(float)
    weight[0] = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("longway.data.samples.PIECE_NUMBERS", 30)
        mean, deviation = Samples(X, np.zeros(70, int), weight).moments()
    reference = StandardScaler().fit(X, sample_weight=weight)
    np.testing.assert_allclose(mean.numpy(), reference.mean_, rtol=1e-12)
    np.testing.assert_allclose(deviation.numpy(), reference.scale_, rtol=1e-5)


def test_constant_feature_has_deviation_one():
    mean, deviation = Samples(np.full((9, 1), 0.1), np.zeros(9, int), np.ones(9)).moments()
    assert mean.item() == pytest.approx(0.1)
    assert deviation.item() == 1


def test_subsets_share_the_inputs():
    X = np.arange(12.0).reshape(6, 2)
    rows = Samples(X, np.arange(6), np.ones(6), np.arange(6) % 2)
    part = rows.take(np.array([4, 1, 5])).take(np.array([0, 2]))
    assert part.X is X
    assert part.y.tolist() == [4, 5]
    assert part.groups.tolist() == [0, 1]
    assert torch.equal(part.inputs(slice(0, 2), torch.float64), torch.from_numpy(X[[4, 5]]))


def test_gathers_what_a_function_makes_of_each_slice():
    rows = Samples(np.arange(14.0).reshape(7, 2), np.zeros(7, int), np.ones(7))
    found = rows.gather(lambda part: rows.inputs(part).sum(1), size=3)
    assert found.tolist() == [1, 5, 9, 13, 17, 21, 25]


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_reads_that_let_go_of_a_file_change_nothing(tmp_path, mode):
    np.save(tmp_path / "X.npy", np.arange(200_000.0).reshape(1000, 200))
    X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    if mode != "r":
        X[0, 0] = 7
    rows = Samples(X, np.zeros(1000, int), np.ones(1000)).take(np.arange(0, 1000, 2))
    first, again = (rows.inputs(slice(None), torch.float64) for _ in range(2))
    assert torch.equal(first, again)
    np.testing.assert_array_equal(first.numpy(), X[::2])
    np.testing.assert_array_equal(rows.inputs(np.array([499, 3, 3])).numpy(), X[[998, 6, 6]])
    assert first[0, 0] == (0 if mode == "r" else 7)
