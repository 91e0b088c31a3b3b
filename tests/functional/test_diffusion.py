import numpy as np
import torch

from longway.functional.diffusion import diffuse, noise_error


def test_signal_and_noise_can_be_had_again():
    x, noise, log_snr = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4), torch.linspace(-3, 3, 5)
    mixture, velocity = diffuse(x, noise, log_snr)
    signal, spread = (torch.sigmoid(sign * log_snr).sqrt().view(-1, 1, 1, 1) for sign in (1, -1))
    torch.testing.assert_close(spread * mixture + signal * velocity, noise)
    torch.testing.assert_close(signal * mixture - spread * velocity, x)
    torch.testing.assert_close((signal / spread).square().log().flatten(), log_snr)


def test_the_error_is_that_of_the_noise():
    x, noise, log_snr = torch.randn(4, 6), torch.randn(4, 6), torch.linspace(-2, 2, 4)
    mixture, velocity = diffuse(x, noise, log_snr)
    signal, spread = (torch.sigmoid(sign * log_snr).sqrt().view(-1, 1) for sign in (1, -1))
    guess = torch.randn(4, 6)
    found = spread * mixture + signal * guess
    torch.testing.assert_close(noise_error(velocity, guess, log_snr), (noise - found).square())


def test_two_gaussians_are_told_apart_by_their_likelihood_ratio():
    """With the best guess for each, the bounds differ by the log ratio of the classes, seen at the finest noise."""
    rng = np.random.default_rng(0)
    means, x = torch.from_numpy(rng.normal(size=(2, 3))), torch.from_numpy(rng.normal(size=(1, 3)))
    low, high, n = -4.0, 1.0, 200_000
    ratios = low + (high - low) * (torch.arange(n) + 0.5) / n
    _, velocity = diffuse(x.expand(n, 3), torch.from_numpy(rng.normal(size=(n, 3))), ratios.double())
    spread = torch.sigmoid(-ratios).sqrt().unsqueeze(1)
    # Of a Gaussian class of variance 1 the best guess of the velocity is the mean's, whatever the mixture
    errors = [noise_error(velocity, -spread * mean, ratios.double()).sum(1).mean() for mean in means]
    bounds = [-(high - low) / 2 * float(error) for error in errors]
    ratio = float((x @ (means[1] - means[0])) - (means[1] @ means[1] - means[0] @ means[0]) / 2)
    seen = float(torch.sigmoid(torch.tensor(high)) - torch.sigmoid(torch.tensor(low)))
    np.testing.assert_allclose(bounds[1] - bounds[0], seen * ratio, atol=0.02)
