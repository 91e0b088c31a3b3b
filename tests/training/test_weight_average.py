import numpy as np
import pytest
import torch
from torch import nn

from longway.data.samples import Samples
from longway.nn.classifier import CrossEntropy
from longway.training.loop import Schedule, train
from longway.training.weight_average import WeightAverage
from longway.utils.device import seeded


def averaged(window, steps):
    """Return the average over steps with the weights 1, 2, 3, ...; the initial weight is a million."""
    module = nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(1e6)
    average = WeightAverage(module, window)
    for step in range(1, steps + 1):
        with torch.no_grad():
            module.weight.fill_(step)
        average.update()
    with average.in_place():
        mean = module.weight.item()
    assert module.weight.item() == steps
    return mean


@pytest.mark.parametrize(("window", "mean"), [(0, 1000), (1, 500.5), (0.1, 1000 - 1000 / 11)])
def test_the_average_reaches_back_over_a_fraction_of_the_steps(window, mean):
    assert averaged(window, 1000) == pytest.approx(mean, rel=0.002)


def trained(averaging, epochs=4):
    generator = np.random.default_rng(0)
    samples = Samples(generator.normal(size=(64, 3)).astype(np.float32), np.arange(64) % 2, np.ones(64))
    with seeded(0):
        network = nn.Linear(3, 2)
    seen = []

    class Watcher:
        def observe(self, epoch):
            seen.append(network.weight.detach().clone())
            return {}

    train(CrossEntropy(network), samples, Schedule(epochs, 16, 0.1, averaging=averaging), generator=generator,
          device="cpu", callback=Watcher().observe)  # fmt: skip
    return network.weight.detach().clone(), seen


def test_callback_and_result_see_the_average_but_training_does_not():
    plain, steps = trained(0)
    mean, means = trained(0.5)
    assert torch.equal(plain, steps[-1])
    assert torch.equal(mean, means[-1])
    assert all(not torch.equal(a, b) for a, b in zip(steps, means, strict=True))
    torch.testing.assert_close(trained(1e-9)[0], plain)  # the same steps were taken
