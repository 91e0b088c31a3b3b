"""A diffusion classifier: the class that helps most to tell an input from noise."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from longway.data.samples import Samples
from longway.data.weights import log_prior
from longway.functional.diffusion import diffuse, noise_error
from longway.linear.module import Standardize
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

    One network for all classes learns to find the noise in training inputs, told their class. An input is mixed with
    the same noise for each class, and the class that lets the network find it best is the answer:
    :math:`\arg\max_c \log p(x | c) + \log p(c)`, with the evidence lower bound in nats for the first term. As every
    part of the input has to be told from noise, a shortcut counts for what it says of the class and no more: a colour
    that one in ten samples of a class have costs log 10 nats, and the wrong shape can cost more.

    It selects nothing on validation data and uses no group labels.

    Parameters
    ----------
    width : int, default 64
        Channels of the denoising network on images, twice as many where they are halved; 8 times as many units on
        features.
    log_snr : (float, float), default (-4, 1)
        Between which logarithms of the ratio of signal and noise inputs are mixed. In more noise nothing is to be
        found; in less, details that no class has to itself take most of the training and of the bound. Found on images
        of 10 pixels; on features and large images not tried.
    n_draws : int, default 16
        Mixtures that a bound is computed from, the ratio evenly between its bounds; their noise is fixed when the model
        is fitted, every second the opposite of the one before.
    epochs : int, default 40
    batch_size : int, default 64
    learning_rate : float, default 2e-3
        Of Adam.
    averaging : float, default 0.1
        Share of the steps so far over which the weights are averaged; see ``longway.training.weight_average``.
    device, random_state, verbose
        As in ``Method``.

    References
    ----------
    "Generative classifiers avoid shortcut solutions", ICLR 2025 (arXiv 2512.25034), of which the abstract was read. Li
    et al., "Your diffusion model is secretly a zero-shot classifier", ICCV 2023. The bound is that of Kingma et al.,
    "Variational diffusion models", NeurIPS 2021.
    """

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
        # Each with its opposite: the part of the error that is linear in the noise, and favours one class, cancels
        half = torch.randn((n_draws + 1) // 2, *shape)
        self.register_buffer("noise", torch.stack([half, -half], 1).flatten(0, 1)[:n_draws])
        self.register_buffer("ratios", low + (high - low) * (torch.arange(n_draws) + 0.5) / n_draws)
        self.register_buffer("log_prior", torch.zeros(n_classes))

    def set_scale(self, rows: Samples) -> None:
        """Take the moments of training data and the classes' shares; all pixels have one spread, that of the mean one.

        A spread of its own would make the faint noise of a pixel that hardly varies as loud as the picture.
        """
        flat = Samples(rows.X.reshape(len(rows.X), -1), rows.y, rows.weight, index=rows.index)
        mean, std = (moment.view(rows.shape) for moment in flat.moments())
        if len(rows.shape) == 3:
            std = torch.tensor(summed_variance(rows) / std.numel()).sqrt().expand(rows.shape)
        self.standardize.set(mean, std)
        self.log_prior.copy_(torch.from_numpy(log_prior(rows.y, rows.weight, len(self.log_prior))))

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to the logarithms (n, C) of bound and prior, whose softmax are probabilities.

        Without what the classes have in common, which is hundreds of nats and would cost the last digits.
        """
        bounds = self.bounds(x)
        return self.log_prior + (bounds - bounds.mean(0)).flatten(2).sum(2).T

    def by_place(self, x: Tensor) -> Tensor:
        """Return what each pixel of images (n, c, h, w) adds to the bound of each class, of shape (n, C, h, w)."""
        return self.bounds(x).sum(2).transpose(0, 1)

    def bounds(self, x: Tensor) -> Tensor:
        """Return what each number of inputs (n, ...) adds to the bound of each class, of shape (C, n, ...)."""
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
    """What the bound is made of, a pixel or feature: the squared error of the noise, every ratio as often as another.

    Parameters
    ----------
    network : DiffusionNet
    """

    def __init__(self, network: DiffusionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch; the ratios of its samples are evenly apart, beginning at a random place."""
        network, n = self.network, len(x)
        low, high = network.range
        places = (torch.arange(n, device=x.device) / n + torch.rand((), device=x.device)) % 1
        ratios = low + (high - low) * places
        mixture, velocity = diffuse(network.standardize(x), torch.randn_like(x), ratios)
        errors = noise_error(velocity, network.denoiser(mixture, ratios, y).to(x.dtype), ratios)
        return {"loss": (errors.flatten(1).mean(1) * weight).mean()}
