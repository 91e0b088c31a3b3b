"""SITAR: noise along label-correlated latent axes makes the classifier flat there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.base import Method, Task
from longway.functional.noise import consistency, perturb
from longway.functional.scores import shortcut_scores
from longway.functional.vae import kl_to_standard_normal, reconstruction_error
from longway.nn.vae import CHANNELS, VAE, MeanEncoder
from longway.rows import Rows, predict_logits
from longway.selection import BestEpoch
from longway.space import Between, Space
from longway.training import Schedule, train


class SITAR(Method):
    r"""Shortcut Invariance via Targeted Anisotropic Regularization, as the paper prints it, for any number of classes.

    A beta-VAE and a classifier on its latent space are trained together. Each axis is scored by its correlation with
    the label, noise in proportion to the score is added before the classifier, and the logits with and without noise
    are pulled together. It is the method for data in which not one sample contradicts the shortcut.

    What the paper leaves open is settled so: Adam at 1e-3 with batches of 256, squared error summed over pixels as in
    its Algorithm 1, scores weighted to balance the classes, the largest one-vs-rest score with more than two.

    Parameters
    ----------
    latent_dim : int, default 10
        Latent axes, the paper's d.
    noise : float, default 0.1
        Noise scale, the paper's alpha.
    beta : float, default 2
        Weight of the KL term, the paper's beta.
    consistency : float, default 10
        Weight of the squared distance of clean and noisy logits, the paper's lambda.
    reconstruction : {"sum", "mean"}, default "sum"
        Squared error summed or averaged over one sample; it decides what beta means.
    channels : sequence of int, default (32, 32, 64, 128)
        Convolutions of the encoder; the last are left out on images too small for them.
    class_balanced : bool, default True
        Whether scores weigh the classes equally.
    epochs : int, default 100
    batch_size : int, default 256
    learning_rate : float, default 1e-3
        Of Adam.
    selection : {"balanced", "average", "worst_class", "worst_group", "auto"}, default "balanced"
        Which validation score chooses the epoch; the paper's is class-balanced accuracy without group labels. Where
        the validation data hold the shortcut too, it favours epochs that use it.
    validation_fraction : float, default 0.1
    device : str, default "auto"
    random_state : int, RandomState or None, default 0
    verbose : int, default 0

    Attributes
    ----------
    shortcut_scores_ : ndarray of shape (latent_dim,)
        Score v of each axis over all training data, after training.

    References
    ----------
    "Shortcut Invariance: Targeted Jacobian Regularization in Disentangled Latent Space", arXiv 2511.19525.
    """

    takes_images = True
    space: ClassVar[Space] = {
        "latent_dim": Between(5, 32, log=True, whole=True),
        "noise": Between(0.01, 1.0, log=True),
        "beta": Between(0.1, 4.0, log=True),
        "consistency": Between(1.0, 50.0, log=True),
        "learning_rate": Between(3e-4, 3e-3, log=True),
    }
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cmnist": {"latent_dim": 10, "noise": 1.0, "beta": 2.0, "consistency": 10.0, "channels": (32, 64)},
        "celeba": {"latent_dim": 10, "noise": 0.1, "beta": 2.0, "consistency": 10.0},
        "waterbirds": {"latent_dim": 32, "noise": 0.01, "beta": 2.0, "consistency": 10.0},
        "camelyon17": {"latent_dim": 10, "noise": 0.1, "beta": 2.0, "consistency": 50.0},
    }

    def __init__(
        self,
        *,
        latent_dim: int = 10,
        noise: float = 0.1,
        beta: float = 2.0,
        consistency: float = 10.0,
        reconstruction: str = "sum",
        channels: Sequence[int] = CHANNELS,
        class_balanced: bool = True,
        epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        selection: str = "balanced",
        validation_fraction: float = 0.1,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.noise = noise
        self.beta = beta
        self.consistency = consistency
        self.reconstruction = reconstruction
        self.channels = channels
        self.class_balanced = class_balanced
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.selection = selection
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def latents(self, X: np.ndarray) -> np.ndarray:
        """Return the posterior means mu, of shape (n, latent_dim)."""
        return predict_logits(cast(SitarNet, self._fitted_module()).encoder, self._rows(X)).numpy()

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> SitarNet:
        return SitarNet(input_shape, n_classes, self.latent_dim, self.channels)

    def _fit(self, task: Task) -> nn.Module:
        rows, validation, source = task.split(self.validation_fraction)
        network = self._build(rows.shape, task.n_classes)
        network.vae.set_moments(rows)
        best = BestEpoch(network, validation, self.selection, source)
        objective = SitarObjective(
            network, self.noise, self.beta, self.consistency, self.reconstruction, self.class_balanced
        )
        self.history_ = train(
            objective,
            rows,
            Schedule(self.epochs, self.batch_size, self.learning_rate),
            generator=task.generator,
            device=self.device,
            after_epoch=best.observe,
            verbose=self.verbose,
            description="SITAR",
        )
        self.selection_ = best.restore()
        self.shortcut_scores_ = self._scores(network, rows, task.n_classes)
        return network

    def _scores(self, network: SitarNet, rows: Rows, n_classes: int) -> np.ndarray:
        latents = predict_logits(network.encoder, rows)
        labels = torch.from_numpy(rows.y)
        return shortcut_scores(latents, labels, n_classes, class_balanced=self.class_balanced).numpy()


class SitarNet(nn.Module):
    """Beta-VAE with a classifier on its latent space: linear 128, ReLU, linear C."""

    def __init__(self, input_shape: tuple[int, ...], n_classes: int, latent_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.vae = VAE(input_shape, latent_dim, channels)
        self.classifier = nn.Sequential(nn.Linear(latent_dim, 128), nn.ReLU(), nn.Linear(128, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to logits (n, C), from posterior means and without noise."""
        return self.classifier(self.vae.encode(x)[0])

    @property
    def encoder(self) -> MeanEncoder:
        """Inputs to posterior means."""
        return MeanEncoder(self.vae)


class SitarObjective(nn.Module):
    """SITAR's loss: reconstruction + beta KL + cross-entropy under noise + lambda consistency."""

    def __init__(
        self, network: SitarNet, noise: float, beta: float, weight: float, reduction: str, class_balanced: bool
    ) -> None:
        super().__init__()
        self.network = network
        self.noise, self.beta, self.weight = noise, beta, weight
        self.reduction, self.class_balanced = reduction, class_balanced

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch and its terms; sample weights (n,) apply to the cross-entropy."""
        network = self.network
        mean, log_variance, latent, output = network.vae(x)
        clean = network.classifier(latent)
        scores = shortcut_scores(mean, y, clean.shape[1], class_balanced=self.class_balanced)
        noisy = network.classifier(perturb(latent, scores, self.noise))
        terms = {
            "reconstruction": reconstruction_error(network.vae.standardize(x), output, self.reduction),
            "kl": kl_to_standard_normal(mean, log_variance),
            "cross_entropy": (cross_entropy(noisy, y, reduction="none") * weight).mean(),
            "consistency": consistency(clean, noisy),
        }
        loss = (
            terms["reconstruction"]
            + self.beta * terms["kl"]
            + terms["cross_entropy"]
            + self.weight * terms["consistency"]
        )
        return {"loss": loss, **terms, "top_score": scores.max()}
