import torch
from torch.distributions import Normal, kl_divergence

from longway.functional.vae import kl_to_standard_normal, reconstruction_error, sample_posterior


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
