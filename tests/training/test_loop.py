import numpy as np
import pytest
import torch
from torch import nn

from longway import LongwayError
from longway.data.samples import Samples
from longway.methods.erm import CrossEntropy
from longway.training.loop import Schedule, train
from longway.utils.device import resolve_device, seeded


def make_samples(n=64, d=3, dtype=np.float32):
    generator = np.random.default_rng(0)
    return Samples(generator.normal(size=(n, d)).astype(dtype), np.arange(n) % 2, np.ones(n))


def run(data, epochs=3, **options):
    with seeded(0):
        network = nn.Linear(3, 2)
    generator = np.random.default_rng(0)
    history = train(CrossEntropy(network), data, Schedule(epochs, 16, 0.1), generator=generator, **options)
    return network, history


def test_loss_falls_and_each_epoch_is_recorded():
    _, history = run(make_samples(), epochs=5)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4, 5]
    assert history[-1]["loss"] < history[0]["loss"]


def test_small_data_in_memory_and_large_data_from_file_give_the_same(monkeypatch):
    held, _ = run(make_samples())
    monkeypatch.setattr("longway.data.samples.RESIDENT_BYTES", 0)
    streamed, _ = run(make_samples())
    torch.testing.assert_close(held.weight, streamed.weight, rtol=0, atol=0)


def test_loss_that_is_not_finite_says_what_to_change():
    data = make_samples()
    with pytest.raises(LongwayError, match=r"the loss became (nan|inf) in epoch 1: lower learning_rate \(now 0.1\)"):
        run(Samples(np.full_like(data.X, 3e38), data.y, data.weight))


def test_sampling_draws_only_samples_with_weight():
    data, seen = make_samples(), []

    class Spy(CrossEntropy):
        def forward(self, x, y, weight):
            seen.append(x)
            return super().forward(x, y, weight)

    sampling = np.zeros(64)
    sampling[5] = 1
    train(Spy(nn.Linear(3, 2)), data, Schedule(1, 16, 0.1), generator=np.random.default_rng(0), sampling=sampling)
    assert torch.equal(torch.cat(seen), torch.from_numpy(data.X[[5] * 64]))


def test_no_batch_of_one():
    sizes = []

    class Spy(CrossEntropy):
        def forward(self, x, y, weight):
            sizes.append(len(x))
            return super().forward(x, y, weight)

    train(Spy(nn.Linear(3, 2)), make_samples(33), Schedule(1, 16, 0.1), generator=np.random.default_rng(0))
    assert sizes == [16, 17]


def test_seeded_leaves_no_trace():
    before = torch.random.get_rng_state()
    with seeded(3):
        torch.rand(4)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_unknown_device(device):
    with pytest.raises(LongwayError, match=f"device='{device}' cannot be used"):
        resolve_device(device)
