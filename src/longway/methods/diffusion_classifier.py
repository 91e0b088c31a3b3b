"""A diffusion classifier: the class that helps most to tell an input from noise."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from longway.data.samples import Samples
from longway.data.weights import log_prior
from longway.functional.diffusion import diffuse, noise_error
from longway.linear.feature_head import Standardize
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Integer, Real
from longway.nn.denoiser import build_denoiser
from longway.nn.vae import summed_variance
from longway.training.loop import Schedule, train
from longway.utils.rules import COUNT, INTERVAL, POSITIVE, PROPORTION


@register
class DiffusionClassifier(Method):
    r"""Predict the class under which a diffusion model finds an input most likely.

    One network for all classes learns to predict the noise in training inputs given their class. At prediction, an
    input is mixed with the same noise for each class, and the class under which the network predicts it best wins:
    :math:`\arg\max_c \log p(x | c) + \log p(c)`, with the evidence lower bound in nats as the first term. Every part of
    the input must be explained, so a shortcut is worth no more than its information about the class: a colour that one
    in ten samples of a class have costs log 10 nats, and the wrong shape can cost more.

    It selects nothing on validation data and uses no group labels.

    Parameters
    ----------
    width : int, default 64
        Channels of the denoising network on images, doubled at half resolution; on features it has 8 times as many
        units.
    log_snr : (float, float), default (-4, 1)
        Range of the logarithm of the signal-to-noise ratio. With more noise there is nothing to detect; with less,
        details that are common to all classes dominate the training and the bound. Tuned on images of 10 pixels
        (docs/experiments/0014-diffusion-classifier.md), not on features or large images.
    n_draws : int, default 16
        Mixtures per bound, at evenly spaced ratios; their noise comes in opposite pairs and is fixed when the model is
        fitted.
    epochs : int, default 40
    batch_size : int, default 64
    learning_rate : float, default 2e-3
        Of Adam.
    averaging : float, default 0.1
        Fraction of the steps so far over which weights are averaged; see ``longway.training.weight_average``.
    device, random_state, verbose
        As in ``Method``.

    References
    ----------
    "Generative classifiers avoid shortcut solutions", ICLR 2025 (arXiv 2512.25034; only the abstract was available). Li
    et al., "Your diffusion model is secretly a zero-shot classifier", ICCV 2023. The bound is that of Kingma et al.,
    "Variational diffusion models", NeurIPS 2021.
    """

    needs = "a core that shows in the input, and time to learn it"
    takes_images = True

    width: int = parameter(64, COUNT, search=Integer(32, 128, log=True))
    log_snr: tuple[float, float] = parameter((-4.0, 1.0), INTERVAL)
    n_draws: int = parameter(16, COUNT)
    epochs: int = parameter(40, COUNT, search=Integer(20, 80, log=True))
    batch_size: int = parameter(64, COUNT)
    learning_rate: float = parameter(2e-3, POSITIVE, search=Real(5e-4, 5e-3, log=True))
    averaging: float = parameter(0.1, PROPORTION)
    selection: ClassVar[None] = None  # type: ignore[assignment, misc]
    validation_fraction: ClassVar[None] = None  # type: ignore[assignment, misc]

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> DiffusionNet:
        low, high = self.log_snr
        return DiffusionNet(input_shape, n_classes, self.width, (low, high), self.n_draws)

    def _fit(self, task: FitData) -> nn.Module:
        rows = task.rows
        network = self._build(rows.shape, task.n_classes)
        network.set_scale(rows)
        self.history_ = train(
            DiffusionObjective(network),
            rows,
            Schedule(self.epochs, self.batch_size, self.learning_rate, averaging=self.averaging),
            generator=task.generator,
            device=self.device,
            verbose=self.verbose,
            description="diffusion classifier",
        )
        return network


class DiffusionNet(nn.Module):
    """A denoiser with the scale of its inputs, the classes' shares and the noise that bounds are computed from.

    Parameters
    ----------
    shape : tuple of int
        Of one input.
    n_classes, width : int
        Of the denoiser.
    log_snr : (float, float)
        The range of the ratio.
    n_draws : int
        S.
    """

    noise: Tensor
    ratios: Tensor
    log_prior: Tensor

    def __init__(
        self, shape: tuple[int, ...], n_classes: int, width: int, log_snr: tuple[float, float], n_draws: int
    ) -> None:
        super().__init__()
        self.range = log_snr
        self.standardize = Standardize(shape)
        self.denoiser = build_denoiser(shape, n_classes, width)
        low, high = log_snr
        # In opposite pairs, the part of the error that is linear in the noise, and favours one class, cancels.
        half = torch.randn((n_draws + 1) // 2, *shape)
        self.register_buffer("noise", torch.stack([half, -half], 1).flatten(0, 1)[:n_draws])
        self.register_buffer("ratios", low + (high - low) * (torch.arange(n_draws) + 0.5) / n_draws)
        self.register_buffer("log_prior", torch.zeros(n_classes))

    def set_scale(self, rows: Samples) -> None:
        """Set the standardisation and the class priors from training data; all pixels share one standard deviation.

        A pixel that hardly varies would otherwise have its faint noise scaled up to the level of the picture.
        """
        flat = Samples(rows.X.reshape(len(rows.X), -1), rows.y, rows.weight, index=rows.index)
        mean, std = (moment.view(rows.shape) for moment in flat.moments())
        if len(rows.shape) == 3:
            std = torch.tensor(summed_variance(rows) / std.numel()).sqrt().expand(rows.shape)
        self.standardize.set(mean, std)
        self.log_prior.copy_(torch.from_numpy(log_prior(rows.y, rows.weight, len(self.log_prior))))

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to the logarithms (n, C) of bound and prior, whose softmax are probabilities.

        The mean over classes, hundreds of nats that all have in common, is subtracted first: it would cost precision.
        """
        bounds = self.bounds(x)
        return self.log_prior + (bounds - bounds.mean(0)).flatten(2).sum(2).T

    def by_place(self, x: Tensor) -> Tensor:
        """Return the contribution of each pixel of images (n, c, h, w) to each class's bound, of shape (n, C, h, w)."""
        return self.bounds(x).sum(2).transpose(0, 1)

    def bounds(self, x: Tensor) -> Tensor:
        """Return the contribution of each number of inputs (n, ...) to each class's bound, of shape (C, n, ...)."""
        x = self.standardize(x)
        codes = torch.arange(len(self.log_prior), device=x.device).split(1)
        errors = torch.zeros((), dtype=x.dtype, device=x.device)
        for noise, ratio in zip(self.noise.split(1), self.ratios.split(1), strict=True):
            mixture, velocity = diffuse(x, noise, ratio)
            guesses = [self.denoiser(mixture, ratio, code).to(x.dtype) for code in codes]
            errors = errors + torch.stack([noise_error(velocity, guess, ratio) for guess in guesses])
        low, high = self.range
        return (low - high) / 2 * errors / len(self.noise)


class DiffusionObjective(nn.Module):
    """The mean summand of the bound: the squared error of the predicted noise, uniformly over ratios.

    Parameters
    ----------
    network : DiffusionNet
    """

    def __init__(self, network: DiffusionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch; its samples get evenly spaced ratios with a random offset."""
        network, n = self.network, len(x)
        low, high = network.range
        places = (torch.arange(n, device=x.device) / n + torch.rand((), device=x.device)) % 1
        ratios = low + (high - low) * places
        mixture, velocity = diffuse(network.standardize(x), torch.randn_like(x), ratios)
        errors = noise_error(velocity, network.denoiser(mixture, ratios, y).to(x.dtype), ratios)
        return {"loss": (errors.flatten(1).mean(1) * weight).mean()}
