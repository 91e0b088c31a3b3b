import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from longway.functional.gaussians import Moments, class_moments, kl_to_spherical


def points(seed=0, n=40, d=3):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, dtype=torch.float64, generator=generator)
    return x, torch.arange(n) % 3, torch.rand(n, dtype=torch.float64, generator=generator) + 0.1


def test_moments_are_numpys_class_by_class():
    x, y, w = points()
    full, diagonal = (class_moments(x, y, w, 4, full=whole) for whole in (True, False))
    for c in range(3):
        members = (y == c).numpy()
        mean = np.average(x[members].numpy(), axis=0, weights=w[members].numpy())
        covariance = np.cov(x[members].numpy().T, aweights=w[members].numpy(), ddof=0)
        np.testing.assert_allclose(full.mean[c], mean)
        np.testing.assert_allclose(full.covariance[c], covariance)
        np.testing.assert_allclose(diagonal.covariance[c], covariance.diagonal())
    assert not full.covariance[3].any()


@pytest.mark.parametrize("full", [True, False])
def test_the_divergence_is_torchs_own(full):
    x, y, w = points()
    moments, targets = class_moments(x, y, w, 3, full=full), 2 * torch.eye(3, dtype=torch.float64)
    covariance = moments.covariance if full else torch.diag_embed(moments.covariance)
    target = MultivariateNormal(targets, torch.eye(3, dtype=torch.float64))
    expected = kl_divergence(MultivariateNormal(moments.mean, covariance), target)
    torch.testing.assert_close(kl_to_spherical(moments, targets, floor=0.0), expected)


@pytest.mark.parametrize("full", [True, False])
def test_a_class_of_one_point_has_a_finite_divergence_that_pulls_its_mean(full):
    x = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    moments = class_moments(x, torch.tensor([1]), torch.ones(1), 3, full=full)
    value = kl_to_spherical(moments, torch.eye(3, dtype=torch.float64))[1]
    (gradient,) = torch.autograd.grad(value, x)
    assert torch.isfinite(value)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64))


def test_nothing_is_nearer_than_the_target():
    targets = torch.eye(2, dtype=torch.float64)
    assert kl_to_spherical(Moments(targets, torch.ones(2, 2, dtype=torch.float64)), targets, 0.0).abs().max() < 1e-12


@pytest.mark.parametrize("full", [True, False])
def test_moments_are_not_rounded_under_mixed_precision(full):
    x, y, w = points()
    exact = class_moments(x.float(), y, w.float(), 3, full=full)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = class_moments(x.float(), y, w.float(), 3, full=full)
    assert torch.equal(mixed.mean, exact.mean)
    assert torch.equal(mixed.covariance, exact.covariance)
