"""Chroma-VAE: a classifier on a few latent axes attracts the shortcut to them; a second one sees only the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples, predict_logits
from longway.functional.vae import kl_to_standard_normal, reconstruction_error
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import fit_linear
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical, Integer, Real
from longway.nn.classifier import CrossEntropy
from longway.nn.neighbours import Neighbours
from longway.nn.vae import CHANNELS, VAE, MeanEncoder, scaled_beta
from longway.training.loop import Schedule, train
from longway.training.selection import BestEpoch
from longway.utils.errors import LongwayError
from longway.utils.rules import COUNT, NON_NEGATIVE, POSITIVE, WIDTHS, Choice


@register
class ChromaVAE(Method):
    """Train a beta-VAE whose first axes must also predict the label, then classify by the other axes alone.

    The latent space has two parts. A classifier on the first part, z1, is trained together with the beta-VAE, so z1
    encodes the easiest predictor of the label, the shortcut. Reconstruction does not need the same information twice,
    so the other part, z2, encodes the rest. A second classifier is then fitted to z2 and makes the predictions.

    Parameters
    ----------
    latent_dim : int, default 16
        Number of latent axes.
    shortcut_dim : int, default 2
        Axes of z1; fewer than ``latent_dim``.
    classification : float, default 10
        Weight of the first classifier's cross-entropy relative to the beta-VAE's loss. On images that loss is scaled so
        that the weight means the same as on coloured 28x28 digits.
    classifier : {"knn", "mlp", "linear"}, default "knn"
        The second classifier: a vote of nearest training samples (the paper's strong variant), an MLP of one hidden
        layer of 128, or a linear head.
    n_neighbors : int, default 15
        Number of training samples that vote.
    beta : float, default 2
        Weight of the KL term; on images times ``longway.nn.vae.scaled_beta``.
    channels : sequence of int, default (32, 32, 64, 128)
        Channels of the encoder's convolutions; the last ones are dropped on images too small for them.
    epochs : int, default 30
        Of the beta-VAE, and of an MLP.
    batch_size : int, default 128
    learning_rate : float, default 1e-3
        Of Adam.
    selection, validation_fraction
        As in ``Method``; they apply to an MLP only, as nothing else is selected.
    **method
        All other parameters of ``Method``.

    Attributes
    ----------
    head_history_ : list of dict
        One record per epoch of an MLP; ``history_`` has those of the beta-VAE.

    References
    ----------
    Yang et al., "Chroma-VAE: mitigating shortcut learning with generative classifiers", NeurIPS 2022. The paper does
    not give the sizes and weights of its runs.
    """

    needs = "a shortcut that a beta-VAE isolates"
    takes_images = True
    supervision = "val_groups"

    latent_dim: int = parameter(16, COUNT, search=Integer(8, 64, log=True))
    shortcut_dim: int = parameter(2, COUNT, search=Categorical((1, 2, 4)))
    classification: float = parameter(10.0, POSITIVE, search=Real(1.0, 100.0, log=True))
    classifier: str = parameter("knn", Choice(("knn", "mlp", "linear")))
    n_neighbors: int = parameter(15, COUNT, search=Categorical((5, 15, 50)))
    beta: float = parameter(2.0, NON_NEGATIVE, search=Real(0.1, 4.0, log=True))
    channels: Sequence[int] = parameter(CHANNELS, WIDTHS)
    epochs: int = parameter(30, COUNT)
    batch_size: int = parameter(128, COUNT)
    learning_rate: float = parameter(1e-3, POSITIVE)

    def latents(self, X: np.ndarray) -> np.ndarray:
        """Return the posterior means, of shape (n, latent_dim), those of z1 first."""
        network = cast(ChromaNet, self._fitted_module())
        return predict_logits(MeanEncoder(network.vae), self._samples(X)).numpy()

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> ChromaNet:
        second: nn.Module
        width = self.latent_dim - self.shortcut_dim
        if self.classifier == "knn":
            second = Neighbours(width, n_classes, self.n_neighbors)
        else:
            second = FeatureHead(width, n_classes, (128,) if self.classifier == "mlp" else ())
        vae = VAE(input_shape, self.latent_dim, self.channels)
        return ChromaNet(vae, self.shortcut_dim, n_classes, second)

    def _fit(self, task: FitData) -> nn.Module:
        if self.shortcut_dim >= self.latent_dim:
            raise LongwayError(
                f"shortcut_dim={self.shortcut_dim} leaves no axis of latent_dim={self.latent_dim} to classify by: "
                "lower shortcut_dim or raise latent_dim"
            )
        rows, validation, source = (
            task.split(self.validation_fraction) if self.classifier == "mlp" else (task.rows, None, "")
        )
        network = self._build(rows.shape, task.n_classes)
        network.vae.set_moments(rows)
        objective = ChromaObjective(network, scaled_beta(self.beta, rows), scaled_beta(1.0, rows), self.classification)
        self.history_ = train(objective, rows, self._schedule(), description="Chroma-VAE", **self._running(task))
        codes = self._codes(network, rows)
        if isinstance(network.second, Neighbours):
            network.second.set(torch.from_numpy(codes.X), torch.from_numpy(rows.y), torch.from_numpy(rows.weight))
        elif validation is None:
            # In double precision, like other solved heads: predictions must not depend on how samples are batched.
            network.double().second.load_state_dict(fit_linear(codes, task.n_classes, 1e-2).state_dict())
        else:
            self._train_head(network.second, codes, self._codes(network, validation), source, task)
        return network

    def _codes(self, network: ChromaNet, rows: Samples) -> Samples:
        """Return samples whose features are the posterior means of z2."""
        means = predict_logits(MeanEncoder(network.vae), rows).numpy()
        return Samples(np.ascontiguousarray(means[:, self.shortcut_dim :]), rows.y, rows.weight, rows.groups)

    def _train_head(self, head: nn.Module, rows: Samples, validation: Samples, source: str, task: FitData) -> None:
        cast(FeatureHead, head).standardize.set(*rows.moments())
        best = BestEpoch(head, validation, self.selection, source)
        self.head_history_ = train(
            CrossEntropy(head),
            rows,
            self._schedule(),
            callback=best.observe,
            description="Chroma-VAE, second classifier",
            **self._running(task),
        )
        self.selection_ = best.restore()

    def _schedule(self) -> Schedule:
        return Schedule(self.epochs, self.batch_size, self.learning_rate)

    def _running(self, task: FitData) -> dict[str, Any]:
        """Return the options that both training runs share."""
        return {"generator": task.generator, "device": self.device, "verbose": self.verbose}


class ChromaNet(nn.Module):
    """A beta-VAE, a classifier on its first axes, and a second one on the rest, which predicts."""

    def __init__(self, vae: VAE, shortcut_dim: int, n_classes: int, second: nn.Module) -> None:
        super().__init__()
        self.vae, self.shortcut_dim, self.second = vae, shortcut_dim, second
        self.first = nn.Sequential(nn.Linear(shortcut_dim, 128), nn.ReLU(), nn.Linear(128, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to logits (n, C), from the posterior means of z2."""
        return self.second(self.vae.encode(x)[0][:, self.shortcut_dim :])


class ChromaObjective(nn.Module):
    """The beta-VAE's loss and the cross-entropy of the classifier on z1.

    Parameters
    ----------
    network : ChromaNet
    beta : float
        Weight of the KL term.
    scale : float
        Divisor of the beta-VAE's loss.
    classification : float
        Weight of the cross-entropy.
    """

    def __init__(self, network: ChromaNet, beta: float, scale: float, classification: float) -> None:
        super().__init__()
        self.network, self.beta, self.scale, self.classification = network, beta, scale, classification

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch and its terms; sample weights (n,) apply to the cross-entropy."""
        vae = self.network.vae
        mean, log_variance, latent, output = vae(x)
        logits = self.network.first(latent[:, : self.network.shortcut_dim])
        terms = {
            "reconstruction": reconstruction_error(vae.standardize(x), output),
            "kl": kl_to_standard_normal(mean, log_variance),
            "cross_entropy": (cross_entropy(logits, y, reduction="none") * weight).mean(),
        }
        bound = (terms["reconstruction"] + self.beta * terms["kl"]) / self.scale
        return {"loss": bound + self.classification * terms["cross_entropy"], **terms}
