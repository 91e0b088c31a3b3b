"""A generative classifier: one VAE a class, and the class whose VAE finds an input most likely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from longway.data.samples import Samples
from longway.data.weights import log_prior
from longway.functional.vae import kl_by_sample, likelihood_bound
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Integer, Real
from longway.nn.vae import CHANNELS, VAE, summed_variance
from longway.training.loop import Schedule, train
from longway.training.selection import BestEpoch
from longway.utils.rules import COUNT, NON_NEGATIVE, POSITIVE, WIDTHS, Choice


@register
class GenerativeClassifier(Method):
    r"""Predict the class under which an input is most likely: :math:`\arg\max_c \log p(x | c) + \log p(c)`.

    Each class has its own VAE, trained on the samples of that class; a lower bound replaces the likelihood. A model of
    a class must explain the whole input, so a shortcut is worth no more than its information about the class: a colour
    that one in ten samples of a class have costs these samples log 10 nats, however salient it is.

    The decoder's noise is Gaussian; its variance is estimated per class from the mean squared error. The published work
    uses diffusion models (see ``DiffusionClassifier``) and language models instead of VAEs.

    Parameters
    ----------
    latent_dim : int, default 10
        Number of latent axes of each VAE.
    beta : float, default 1
        Weight of the KL term in training; 1 maximises the bound itself.
    bound : {"elbo", "importance"}, default "elbo"
        Bound that is compared: the evidence lower bound, or the tighter importance-weighted one.
    n_draws : int, default 8
        Draws from the posterior per bound; they are fixed when the model is fitted.
    channels : sequence of int, default (32, 32, 64, 128)
        Channels of the encoders' convolutions; the last ones are dropped on images too small for them.
    epochs : int, default 30
    batch_size : int, default 128
    learning_rate : float, default 1e-3
        Of Adam.
    **method
        All other parameters of ``Method``.

    References
    ----------
    "Generative classifiers avoid shortcut solutions", ICLR 2025 (only the abstract was available).
    """

    needs = "inputs that VAEs model well"
    takes_images = True
    supervision = "val_groups"

    latent_dim: int = parameter(10, COUNT, search=Integer(4, 64, log=True))
    beta: float = parameter(1.0, NON_NEGATIVE, search=Real(0.1, 4.0, log=True))
    bound: str = parameter("elbo", Choice(("elbo", "importance")))
    n_draws: int = parameter(8, COUNT)
    channels: Sequence[int] = parameter(CHANNELS, WIDTHS)
    epochs: int = parameter(30, COUNT)
    batch_size: int = parameter(128, COUNT)
    learning_rate: float = parameter(1e-3, POSITIVE, search=Real(3e-4, 3e-3, log=True))

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> ClassVAEs:
        vaes = [VAE(input_shape, self.latent_dim, self.channels) for _ in range(n_classes)]
        return ClassVAEs(vaes, torch.randn(self.n_draws, self.latent_dim), importance=self.bound == "importance")

    def _fit(self, task: FitData) -> nn.Module:
        rows, validation, source = task.split(self.validation_fraction)
        network = self._build(rows.shape, task.n_classes)
        network.set_scale(rows)
        best = BestEpoch(network, validation, self.selection, source)
        self.history_ = train(
            ClassVAEsObjective(network, self.beta),
            rows,
            Schedule(self.epochs, self.batch_size, self.learning_rate),
            generator=task.generator,
            device=self.device,
            callback=best.observe,
            verbose=self.verbose,
            description="generative classifier",
        )
        self.selection_ = best.restore()
        return network


class ClassVAEs(nn.Module):
    """One VAE per class, with the variance of its decoder and the prior of the class.

    Parameters
    ----------
    vaes : sequence of VAE
        One for each of the C classes.
    draws : Tensor of shape (S, d)
        Standard normal draws that bounds are computed with.
    importance : bool
        Whether to use the importance-weighted bound.
    """

    draws: Tensor
    noise: Tensor
    log_prior: Tensor

    def __init__(self, vaes: Sequence[VAE], draws: Tensor, *, importance: bool) -> None:
        super().__init__()
        self.vaes = nn.ModuleList(vaes)
        self.importance = importance
        self.register_buffer("draws", draws)
        self.register_buffer("noise", torch.ones(len(vaes)))
        self.register_buffer("log_prior", torch.zeros(len(vaes)))

    def set_scale(self, rows: Samples) -> None:
        """Set the standardisation, one for all classes, and the class priors from training data."""
        for vae in self._each():
            vae.set_moments(rows)
        self.log_prior.copy_(torch.from_numpy(log_prior(rows.y, rows.weight, len(self.vaes))))
        self.noise.fill_(summed_variance(rows) / int(np.prod(rows.shape)))

    def _each(self) -> list[VAE]:
        return [vae for vae in self.vaes if isinstance(vae, VAE)]

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to the logarithms (n, C) of bound and prior, whose softmax are probabilities."""
        bounds = [self._bound(vae, x, noise) for vae, noise in zip(self._each(), self.noise, strict=True)]
        return torch.stack(bounds, 1) + self.log_prior

    def by_place(self, x: Tensor) -> Tensor:
        """Return the contribution of each pixel of images (n, c, h, w) to the bound of each class, of shape (n, C, h,
        w).

        But for the KL term, which has no place.
        """
        maps = []
        for vae, noise in zip(self._each(), self.noise, strict=True):
            errors = (x - self._outputs(vae, *vae.encode(x))).square().mean(0)
            maps.append(-0.5 * (errors / noise + (2 * torch.pi * noise).log()).sum(1))
        return torch.stack(maps, 1)

    def _outputs(self, vae: VAE, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Return the reconstruction from each draw of the posterior, of shape (S, n, ...)."""
        latents = mean + (0.5 * log_variance).exp() * self.draws.unsqueeze(1)
        return torch.stack([vae.decoder(latent) for latent in latents])

    def _bound(self, vae: VAE, x: Tensor, noise: Tensor) -> Tensor:
        mean, log_variance = vae.encode(x)
        outputs, target = self._outputs(vae, mean, log_variance), vae.standardize(x)
        return likelihood_bound(target, outputs, mean, log_variance, self.draws, noise, importance=self.importance)


class ClassVAEsObjective(nn.Module):
    """The negative bound of each sample under the VAE of its class.

    Parameters
    ----------
    network : ClassVAEs
    beta : float
        Weight of the KL term.
    """

    least: Tensor

    def __init__(self, network: ClassVAEs, beta: float) -> None:
        super().__init__()
        self.network, self.beta = network, beta
        self.register_buffer("least", 1e-4 * network.noise)

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch in nats per sample; the decoders' variances track the errors."""
        network, total = self.network, torch.zeros((), device=x.device)
        for code, vae in enumerate(network._each()):
            members = (y == code) & (weight > 0)
            if members.any():
                total = total + self._costs(vae, x[members], weight[members], code)
        return {"loss": total / len(x)}

    def _costs(self, vae: VAE, x: Tensor, weight: Tensor, code: int) -> Tensor:
        """Return the weighted sum of one class's losses."""
        mean, log_variance, _, output = vae(x)
        errors = (vae.standardize(x) - output).square().flatten(1)
        fresh = (errors.detach().mean(1) * weight).sum() / weight.sum()
        # The maximum-likelihood variance is the mean squared error; a running mean over batches estimates it.
        noise = torch.lerp(self.network.noise[code], fresh, 0.1).clamp_min(self.least[code])
        self.network.noise[code] = noise
        fit = 0.5 * (errors / noise + (2 * torch.pi * noise).log()).sum(1)
        return ((fit + self.beta * kl_by_sample(mean, log_variance)) * weight).sum()
