"""The two terms of a beta-VAE's objective, its sampling step, and lower bounds of the likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sample_posterior(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Draw :math:`z = \mu + \sigma \odot \epsilon`, differentiable in both parameters, all of shape (n, d)."""
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the mean of ``kl_by_sample``, of shape ()."""
    return kl_by_sample(mean, log_variance).mean()


def kl_by_sample(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Return :math:`KL(N(\mu, \sigma^2) \| N(0, I))` of each sample in nats, of shape (n,), for parameters (n, d)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def reconstruction_error(inputs: Tensor, outputs: Tensor, reduction: str = "sum") -> Tensor:
    """Return the mean over samples of the squared error.

    Parameters
    ----------
    inputs, outputs : Tensor of shape (n, ...)
    reduction : {"sum", "mean"}
        Over one sample's pixels or features. The meaning of beta depends on it: SITAR's Algorithm 1 sums, its appendix
        says "per-pixel".

    Returns
    -------
    Tensor of shape ()
    """
    error = (inputs - outputs).square().flatten(1)
    return (error.sum(1) if reduction == "sum" else error.mean(1)).mean()


def likelihood_bound(
    inputs: Tensor,
    outputs: Tensor,
    mean: Tensor,
    log_variance: Tensor,
    draws: Tensor,
    noise: Tensor,
    *,
    importance: bool = False,
) -> Tensor:
    r"""Return a lower bound of each sample's log likelihood under a VAE with a spherical Gaussian decoder.

    With draws :math:`z_s = \mu + \sigma \odot \epsilon_s`, it is the evidence lower bound
    :math:`\frac1S \sum_s \log p(x | z_s) - KL`, with the KL term in closed form; or the importance-weighted bound
    :math:`\log \frac1S \sum_s p(x, z_s) / q(z_s | x)`, which gets tighter with more draws.

    Parameters
    ----------
    inputs : Tensor of shape (n, ...)
    outputs : Tensor of shape (S, n, ...)
        The decoder's means for each draw.
    mean, log_variance : Tensor of shape (n, d)
        Parameters of the posterior q.
    draws : Tensor of shape (S, d)
        Standard normal; the same for all samples.
    noise : Tensor of shape ()
        Variance of the decoder.
    importance : bool, default False

    Returns
    -------
    Tensor of shape (n,)
        In nats.

    References
    ----------
    Burda et al., "Importance weighted autoencoders", ICLR 2016, equation 8.
    """
    size = inputs[0].numel()
    errors = (inputs - outputs).square().flatten(2).sum(2)
    given_latent = -0.5 * (errors / noise + size * (2 * math.pi * noise).log())
    if not importance:
        return given_latent.mean(0) - kl_by_sample(mean, log_variance)
    latent = mean + (0.5 * log_variance).exp() * draws.unsqueeze(1)
    # log p(z) - log q(z | x): the constants of both normal densities cancel, and (z - mu) / sigma is the draw.
    prior = -0.5 * latent.square().sum(2)
    posterior = -0.5 * (draws.square().sum(1, keepdim=True) + log_variance.sum(1))
    return (given_latent + prior - posterior).logsumexp(0) - math.log(len(draws))
