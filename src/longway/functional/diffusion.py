"""Gaussian diffusion in continuous time: noisy mixtures, and the likelihood bound from predicting their noise."""

from __future__ import annotations

import torch
from torch import Tensor


def diffuse(x: Tensor, noise: Tensor, log_snr: Tensor) -> tuple[Tensor, Tensor]:
    r"""Mix inputs with noise so that the variance stays 1.

    With :math:`\alpha^2 = \mathrm{sigmoid}(\lambda)` and :math:`\sigma^2 = \mathrm{sigmoid}(-\lambda)` the mixture is
    :math:`z = \alpha x + \sigma \epsilon`, and its velocity :math:`v = \alpha \epsilon - \sigma x`. Together they give
    back the input and the noise: :math:`\epsilon = \sigma z + \alpha v`.

    Parameters
    ----------
    x : Tensor of shape (n, ...)
        Inputs of variance about 1.
    noise : Tensor of shape (n, ...) or (1, ...)
        Standard normal, :math:`\epsilon`.
    log_snr : Tensor of shape (n,) or (1,)
        :math:`\lambda`, the logarithm of the signal-to-noise ratio, a ratio of variances.

    Returns
    -------
    mixture, velocity : Tensor of shape (n, ...)

    References
    ----------
    Salimans and Ho, "Progressive distillation for fast sampling of diffusion models", ICLR 2022, appendix D.
    """
    log_snr = _broadcastable(log_snr, x)
    alpha, sigma = torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()
    return alpha * x + sigma * noise, alpha * noise - sigma * x


def noise_error(velocity: Tensor, guess: Tensor, log_snr: Tensor) -> Tensor:
    r"""Return the squared error of the noise that a predicted velocity implies, elementwise, of shape (n, ...).

    Average half of it over noise and over :math:`\lambda` between two bounds, multiply by the bounds' distance, and sum
    over the elements of an input: that is the input's cost in nats, the evidence lower bound of a diffusion model in
    continuous time. The costs at the two bounds are missing; they are nearly the same for every class.

    Parameters
    ----------
    velocity, guess : Tensor of shape (n, ...)
    log_snr : Tensor of shape (n,) or (1,)

    References
    ----------
    Kingma et al., "Variational diffusion models", NeurIPS 2021, equation 18 (there :math:`\gamma = -\lambda`).
    """
    # The noise is sigma z + alpha v and z is known, so its error is alpha times that of v.
    return torch.sigmoid(_broadcastable(log_snr, velocity)) * (velocity - guess).square()


def _broadcastable(log_snr: Tensor, x: Tensor) -> Tensor:
    """Reshape ratios (n,) or (1,) so that they broadcast over inputs (n, ...)."""
    return log_snr.view(-1, *[1] * (x.dim() - 1))
