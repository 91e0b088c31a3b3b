"""Beta-VAE for images or features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from longway.data.samples import Samples
from longway.functional.vae import kl_to_standard_normal, reconstruction_error, sample_posterior
from longway.linear.feature_head import Standardize

CHANNELS = (32, 32, 64, 128)
"""Channels of SITAR's encoder for 64x64 images."""

REFERENCE_VARIANCE = 70.0
"""Variance of coloured 28x28 digits, summed over pixels: the images for which beta = 2 was published."""

ACTIVE = 0.01
"""Variance of the posterior means from which an axis is in use (Burda et al., 2016)."""


class VAE(nn.Module):
    """Gaussian encoder and mirrored decoder, convolutional for images, fully connected for features.

    Features are standardised first, and the decoder reconstructs the standardised ones. Images are in [0, 1] and stay
    unchanged.

    Parameters
    ----------
    input_shape : (int, int, int) or (int,)
        (channels, height, width), or the number of features.
    latent_dim : int
        Number of latent axes d.
    channels : sequence of int, default (32, 32, 64, 128)
        Output channels of the stride-2 convolutions (kernel 4, padding 1, ReLU). Small images use only the first.
    hidden : int, default 128
        Width of the hidden layers for features.
    heads : sequence of int, default ()
        Widths of the hidden layers of the two heads for mean and log variance; they are linear without any.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        latent_dim: int,
        channels: Sequence[int] = CHANNELS,
        hidden: int = 128,
        heads: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if len(input_shape) == 3:
            self.standardize: nn.Module = nn.Identity()
            self.body, self.decoder, width = _convolutional(input_shape, latent_dim, channels)
        else:
            (n_features,), width = input_shape, hidden
            self.standardize = Standardize(n_features)
            self.body = nn.Sequential(nn.Linear(n_features, hidden), nn.ReLU())
            self.decoder = nn.Sequential(nn.Linear(latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, n_features))
        self.mean = _head(width, heads, latent_dim)
        self.log_variance = _head(width, heads, latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map inputs (n, ...) to the posterior's mean and log variance, each (n, d)."""
        code = self.body(self.standardize(x))
        # Under mixed precision the layers run in 16 bits; sampling and the KL term run in full precision.
        mean, log_variance = self.mean(code).to(x.dtype), self.log_variance(code).to(x.dtype)
        # A guard for diverging fits: exp() stays finite, and no posterior of use is that narrow or wide.
        return mean, log_variance.clamp(-20, 20)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the posterior's mean and log variance, one sample of it, and that sample's reconstruction."""
        mean, log_variance = self.encode(x)
        latent = sample_posterior(mean, log_variance)
        return mean, log_variance, latent, self.decoder(latent)

    def set_moments(self, rows: Samples) -> None:
        """Set mean and standard deviation of features from training data; a no-op for images."""
        if isinstance(self.standardize, Standardize):
            self.standardize.set(*rows.moments())


def _head(width: int, hidden: Sequence[int], latent_dim: int) -> nn.Module:
    """Return a linear map, or an MLP with these hidden layers."""
    widths = (width, *hidden)
    layers = [each for pair in pairwise(widths) for each in (nn.Linear(*pair), nn.ReLU())]
    last = nn.Linear(widths[-1], latent_dim)
    return nn.Sequential(*layers, last) if layers else last


class MeanEncoder(nn.Module):
    """The part of a VAE that maps inputs to posterior means."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to means (n, d)."""
        return self.vae.encode(x)[0]


class VAEObjective(nn.Module):
    """The beta-VAE's loss as a module, for the training loop.

    Parameters
    ----------
    vae : VAE
    beta : float
        Weight of the KL term.
    reduction : {"sum", "mean"}, default "sum"
        Reduction of the squared reconstruction error over one sample.
    """

    def __init__(self, vae: VAE, beta: float, reduction: str = "sum") -> None:
        super().__init__()
        self.vae, self.beta, self.reduction = vae, beta, reduction

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss and its terms; labels (n,) and weights (n,) are not used."""
        mean, log_variance, _, output = self.vae(x)
        reconstruction = reconstruction_error(self.vae.standardize(x), output, self.reduction)
        kl = kl_to_standard_normal(mean, log_variance)
        return {"loss": reconstruction + self.beta * kl, "reconstruction": reconstruction, "kl": kl}


def scaled_beta(beta: float, rows: Samples) -> float:
    r"""Return the beta that has the same effect on these images as ``beta`` on coloured 28x28 digits.

    The squared error summed over pixels grows with the number of pixels and their contrast, the KL term does not. An
    axis pays for its nats only if it explains more than about :math:`\beta / 2` of the summed variance. So one beta
    collapses the posterior on small images and hardly regularises on large ones. Features are standardised and need no
    correction.

    Parameters
    ----------
    beta : float
        Weight of the KL term on images whose summed variance is ``REFERENCE_VARIANCE``.
    rows : Samples
        Training data.
    """
    if len(rows.shape) == 1:
        return beta
    return beta * summed_variance(rows) / REFERENCE_VARIANCE


def summed_variance(rows: Samples) -> float:
    """Return the variance of a VAE's reconstruction target, summed over a sample: d for d standardised features."""
    if len(rows.shape) == 1:
        return float(rows.shape[0])
    total, squares = torch.zeros(rows.shape, dtype=torch.float64), 0.0
    for part in rows.slices():
        x = rows.inputs(part, torch.float64)
        total += x.sum(0)
        squares += float(x.square().sum())
    # E[x^2] - E[x]^2 needs one pass over the data; in float64 its cancellation is harmless for images in [0, 1].
    variance = squares / len(rows) - float((total / len(rows)).square().sum())
    return max(variance, 1e-6)


def active_axes(latents: np.ndarray) -> np.ndarray:
    """Return a mask (d,) of the axes in use, whose posterior means (n, d) have a variance of ``ACTIVE`` or more."""
    return latents.var(0) >= ACTIVE


def _convolutional(
    shape: tuple[int, ...], latent_dim: int, channels: Sequence[int]
) -> tuple[nn.Sequential, nn.Sequential, int]:
    """Return the encoder's body, the decoder, and the width of the body's output."""
    sizes = [shape[1:]]
    # Each convolution halves the image; stop before a side falls below 2 pixels.
    while len(sizes) <= len(channels) and min(sizes[-1]) >= 4:
        sizes.append(tuple(n // 2 for n in sizes[-1]))
    widths = [shape[0], *channels[: len(sizes) - 1]]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for level in range(len(widths) - 1):
        inputs, outputs = widths[level : level + 2]
        down += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.ReLU()]
        # An odd side loses its last row when it is halved; the decoder adds it again.
        padding = (sizes[level][0] % 2, sizes[level][1] % 2)
        up = [nn.ReLU(), nn.ConvTranspose2d(outputs, inputs, 4, 2, 1, output_padding=padding), *up]
    smallest = (widths[-1], *sizes[-1])
    width = math.prod(smallest)
    decoder = nn.Sequential(nn.Linear(latent_dim, width), nn.Unflatten(1, smallest), *up)
    return nn.Sequential(*down, nn.Flatten()), decoder, width
