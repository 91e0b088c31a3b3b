"""The two terms of a beta-VAE's objective, and its sampling step."""

from __future__ import annotations

import torch
from torch import Tensor


def sample_posterior(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Draw :math:`z = \mu + \sigma \odot \epsilon` with gradients to both parameters, all of shape (n, d)."""
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Mean over samples of :math:`KL(N(\mu, \sigma^2) \| N(0, I))` in nats, summed over the d axes.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n, d)

    Returns
    -------
    Tensor of shape ()
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def reconstruction_error(inputs: Tensor, outputs: Tensor, reduction: str = "sum") -> Tensor:
    """Mean over samples of the squared error.

    Parameters
    ----------
    inputs, outputs : Tensor of shape (n, ...)
    reduction : {"sum", "mean"}
        Over one sample's pixels or features. It decides what beta means: SITAR's Algorithm 1 sums, its appendix says
        "per-pixel".

    Returns
    -------
    Tensor of shape ()
    """
    error = (inputs - outputs).square().flatten(1)
    return (error.sum(1) if reduction == "sum" else error.mean(1)).mean()
