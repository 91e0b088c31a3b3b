import numpy as np
import pytest
import torch

from longway import DiffusionClassifier
from longway.nn.denoiser import build_denoiser

RNG = np.random.default_rng(0)
BARS = 0.4 + 0.2 * RNG.random(size=(240, 1, 9, 7)).astype(np.float32)
"""Noise with a bright row for one class, a bright column for the other."""
CODES = np.arange(240) % 3 // 2
BARS[CODES == 0, :, 4] += 0.4
BARS[CODES == 1, :, :, 3] += 0.4
SMALL = {"n_draws": 4, "width": 8, "epochs": 8, "batch_size": 16}


@pytest.mark.parametrize("shape", [(3, 9, 7), (1, 4, 4), (3, 64, 40), (2, 2, 3), (5,), (1,)])
def test_what_comes_out_has_the_shape_of_what_goes_in(shape):
    network = build_denoiser(shape, 3, 8)
    z = torch.randn(4, *shape)
    assert network(z, torch.zeros(4), torch.tensor([0, 1, 2, 0])).shape == z.shape


def test_it_is_told_the_class_and_the_ratio():
    network = build_denoiser((1, 8, 8), 2, 8)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    z = torch.randn(1, 1, 8, 8).expand(3, -1, -1, -1)
    answers = network(z, torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0, 1, 0]))
    assert not torch.allclose(answers[0], answers[1])
    assert not torch.allclose(answers[0], answers[2])


def test_it_tells_pictures_apart():
    fitted = DiffusionClassifier(**SMALL).fit(BARS, CODES)
    assert fitted.score(BARS, CODES) > 0.95
    assert fitted.supervision_ == "none"
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"]


def test_an_answer_does_not_depend_on_its_neighbours():
    fitted = DiffusionClassifier(**SMALL).fit(BARS, CODES)
    together = fitted.predict_proba(BARS[:6])
    apart = np.concatenate([fitted.predict_proba(BARS[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_the_prior_counts():
    """Without any information in X, the frequent class is the likelier."""
    X, y = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 10 == 0
    fitted = DiffusionClassifier(**SMALL).fit(X, y)
    np.testing.assert_allclose(fitted.module_.log_prior.exp().numpy(), [0.9, 0.1], atol=1e-6)
    assert fitted.predict_proba(X)[:, 1].mean() < 0.5


def test_a_black_border_is_as_loud_as_the_picture():
    images = BARS.copy()
    images[:, :, 0] = 0.0
    std = DiffusionClassifier(**SMALL).fit(images, CODES).module_.standardize.std
    assert std.unique().numel() == 1
    np.testing.assert_allclose(std.flatten()[0], np.sqrt(images.var(0).mean()), rtol=1e-4)
