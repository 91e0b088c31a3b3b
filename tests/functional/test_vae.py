import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from longway.functional.vae import (
    kl_by_sample,
    kl_to_standard_normal,
    likelihood_bound,
    reconstruction_error,
    sample_posterior,
)


def test_kl_equals_torchs_own():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)


def test_reconstruction_sums_or_averages_over_one_sample():
    x, y = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    assert reconstruction_error(x, y, "sum") == 48
    assert reconstruction_error(x, y, "mean") == 1


def test_samples_have_the_posteriors_moments():
    torch.manual_seed(0)
    z = sample_posterior(torch.full((50_000, 1), 2.0), torch.full((50_000, 1), -1.0))
    torch.testing.assert_close(z.mean(), torch.tensor(2.0), atol=0.02, rtol=0)
    torch.testing.assert_close(z.var(), torch.tensor(-1.0).exp(), atol=0.02, rtol=0)


def linear_vae(n=4, d=2, size=5, noise=0.3):
    """Return inputs, and the exact posterior and likelihood under x = A z + e, where the posterior is diagonal."""
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(size, d, dtype=torch.float64)).Q * torch.tensor([2.0, 1.0])
    x = torch.randn(n, size, dtype=torch.float64)
    precision = 1 + basis.square().sum(0) / noise
    exact = MultivariateNormal(
        torch.zeros(size, dtype=torch.float64), basis @ basis.T + noise * torch.eye(size, dtype=torch.float64)
    )
    return x, basis, x @ basis / noise / precision, -precision.log().expand(n, d), exact.log_prob(x)


@pytest.mark.parametrize("importance", [True, False])
@pytest.mark.parametrize("off", [0.0, 0.5])
def test_bounds_are_below_the_likelihood_and_reach_it_at_the_posterior(importance, off):
    x, basis, mean, log_variance, exact = linear_vae()
    mean, draws = mean + off, torch.randn(4000, 2, dtype=torch.float64)
    latents = mean + (0.5 * log_variance).exp() * draws.unsqueeze(1)
    noise = torch.tensor(0.3, dtype=torch.float64)
    bound = likelihood_bound(x, latents @ basis.T, mean, log_variance, draws, noise, importance=importance)
    gap = exact - bound
    if importance:
        assert gap.abs().max() < (1e-9 if not off else 0.2)
    else:
        # The gap is the divergence of q from the posterior
        expected = 0.5 * (off**2 / log_variance.exp()).sum(1)
        torch.testing.assert_close(gap, expected, atol=0.15, rtol=0.05)


def test_divergences_of_samples_have_the_mean_that_is_minimised():
    mean, log_variance = torch.randn(6, 3), torch.randn(6, 3)
    torch.testing.assert_close(kl_by_sample(mean, log_variance).mean(), kl_to_standard_normal(mean, log_variance))
