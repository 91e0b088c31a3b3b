"""SITAR: noise along label-correlated latent axes makes the classifier flat there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples, predict_logits
from longway.functional.noise import consistency, divergence, perturb
from longway.functional.scores import shortcut_scores
from longway.functional.vae import kl_to_standard_normal, reconstruction_error
from longway.groups import ShortcutEvidence, find_shortcut_evidence
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Integer, Real
from longway.nn.vae import CHANNELS, VAE, MeanEncoder, active_axes, scaled_beta, summed_variance
from longway.training.distributed import gathered
from longway.training.loop import Schedule, train
from longway.training.selection import BestEpoch
from longway.utils.rules import BOOLEAN, COUNT, NON_NEGATIVE, POSITIVE, WIDTHS, Choice

PAPER = {
    "variant": "paper",
    "heads": (128,),
    "beta": 2.0,
    "epochs": 100,
    "batch_size": 256,
    "selection": "balanced",
}
"""The part that all published settings share."""


@register
class SITAR(Method):
    r"""Shortcut Invariance via Targeted Anisotropic Regularization, for any number of classes.

    A beta-VAE and a classifier on its latent space are trained together. Each axis is scored by its correlation with
    the label. Noise in proportion to the score is added before the classifier, and its predictions with and without
    noise are pulled together. The method is meant for data in which few samples contradict the shortcut, or none.

    Two variants share this outline. ``paper`` is the published algorithm; where the paper is silent: Adam at 1e-3 with
    batches of 256, squared error summed over pixels as in its Algorithm 1, scores weighted to balance the classes, and
    the correlation ratio for more than two classes. Its result is unreliable, because the loss can be lowered without
    invariance: the classifier scales up the shortcut axis until the noise is relatively small, shrinks its logits until
    the penalty is, or has the encoder move the shortcut to axes of low correlation. ``scale_free`` closes these exits:

    1. The beta-VAE is first trained alone, with a beta scaled to the variance of the images, so that its shortcut axes
       exist before the classifier does.
    2. These axes also yield a pseudo-attribute, which decides how training is debiased (``debias_mode``). If
       recolouring an image changes the attribute, training images are recoloured at random
       (``longway.groups.recolouring``). Else, if separately trained weak classifiers get the same images wrong, these
       images contradict the shortcut and get the same total weight as the others (``consistent_errors``). Else, if gaps
       separate the pseudo-groups and nothing speaks against them, they are weighted equally. In all three modes the
       shortcut no longer predicts the label; in the first two the classifier's loss has a large weight relative to the
       beta-VAE's, as there is no shortcut left for the encoder to hide. With noise alone, the classes are weighted
       equally.
    3. Noise is in proportion to each axis's standard deviation as well as to its score, of which a running mean is
       kept; consistency compares probabilities; the VAE's loss is divided by the variance of the data.

    Parameters
    ----------
    variant : {"scale_free", "paper"}, default "scale_free"
    latent_dim : int, default 10
        Number of latent axes, the paper's d.
    noise_scale : float, default 0.5
        Scale of the noise, the paper's alpha; in ``scale_free`` in standard deviations of each axis.
    beta : float, default 2
        Weight of the KL term, the paper's beta; in ``scale_free`` times ``longway.nn.vae.scaled_beta``.
    consistency_weight : float, default 10
        Weight of the distance between clean and noisy predictions, the paper's lambda.
    reconstruction : {"sum", "mean"}, default "sum"
        In ``paper``, whether the squared error is summed or averaged over a sample, which sets the scale of beta.
    channels : sequence of int, default (32, 32, 64, 128)
        Channels of the encoder's convolutions; the last ones are dropped on images too small for them.
    heads : sequence of int, default ()
        In ``paper``, widths of the hidden layers of the encoder's heads for mean and variance; linear without any.
        Published settings have one of 128, as the classifier has: the paper says MLP, without a width.
    class_balanced : bool, default True
        Whether scores weight the classes equally.
    first_epochs : int, default 8
        Epochs of the beta-VAE alone, in ``scale_free``.
    epochs : int, default 30
    batch_size : int, default 128
    learning_rate : float, default 1e-3
        Of Adam.
    selection : {"auto", "balanced", "average", "worst_class", "worst_group"}, default "auto"
        Validation score that selects the epoch. If the validation data hold the shortcut too, accuracy favours epochs
        that use it. ``auto`` is ``worst_group`` if groups are given. Else, in ``scale_free``, it is the worst of the
        groups or classes that are weighted equally in training, or the class-balanced accuracy on recoloured validation
        images if training images are recoloured; in ``paper`` it is ``balanced``.
    **method
        All other parameters of ``Method``.

    Attributes
    ----------
    shortcut_scores_ : ndarray of shape (latent_dim,)
        Score v of each axis over all training data, after training.
    group_inference_ : dict
        Of ``scale_free``: the shortcut axes before the classifier was trained, the sizes of their pseudo-groups,
        whether gaps separate these (``gaps``), ``caveats``, the fraction of images whose pseudo-attribute recolouring
        changed (``recoloured``), the overlap of two error sets and how well they can be learnt (``errors``, if they
        were computed), and the ``debias_mode``: "recolouring", "errors", "groups" or "noise".

    Warns
    -----
    UserWarning
        If the fitted posterior has collapsed: ``beta`` is too high.

    References
    ----------
    "Shortcut Invariance: Targeted Jacobian Regularization in Disentangled Latent Space", arXiv 2511.19525.
    """

    needs = "a shortcut that a beta-VAE isolates"
    takes_images = True
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cmnist": {**PAPER, "latent_dim": 10, "noise_scale": 1.0, "consistency_weight": 10.0, "channels": (32, 64)},
        "celeba": {**PAPER, "latent_dim": 10, "noise_scale": 0.1, "consistency_weight": 10.0},
        "waterbirds": {**PAPER, "latent_dim": 32, "noise_scale": 0.01, "consistency_weight": 10.0},
        "camelyon17": {**PAPER, "latent_dim": 10, "noise_scale": 0.1, "consistency_weight": 50.0},
    }

    variant: str = parameter("scale_free", Choice(("scale_free", "paper")))
    latent_dim: int = parameter(10, COUNT, search=Integer(5, 32, log=True))
    noise_scale: float = parameter(0.5, NON_NEGATIVE, search=Real(0.01, 1.0, log=True))
    beta: float = parameter(2.0, NON_NEGATIVE, search=Real(0.1, 4.0, log=True))
    consistency_weight: float = parameter(10.0, NON_NEGATIVE, search=Real(1.0, 50.0, log=True))
    reconstruction: str = parameter("sum", Choice(("sum", "mean")))
    channels: Sequence[int] = parameter(CHANNELS, WIDTHS)
    heads: Sequence[int] = parameter((), WIDTHS)
    class_balanced: bool = parameter(True, BOOLEAN)
    first_epochs: int = parameter(8, COUNT)
    epochs: int = parameter(30, COUNT)
    batch_size: int = parameter(128, COUNT)
    learning_rate: float = parameter(1e-3, POSITIVE, search=Real(3e-4, 3e-3, log=True))

    def latents(self, X: np.ndarray) -> np.ndarray:
        """Return the posterior means mu, of shape (n, latent_dim)."""
        return predict_logits(cast(SitarNet, self._fitted_module()).encoder, self._samples(X)).numpy()

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> SitarNet:
        heads = self.heads if self.variant == "paper" else ()
        return SitarNet(input_shape, n_classes, self.latent_dim, self.channels, heads)

    def _fit(self, task: FitData) -> nn.Module:
        rows, validation, source = task.split(self.validation_fraction)
        network = self._build(rows.shape, task.n_classes)
        self.group_inference_: dict[str, Any] = {}
        objective: nn.Module
        extras: tuple[np.ndarray, ...] = ()
        rule, marks = self.selection, {}
        if self.variant == "paper":
            network.vae.set_moments(rows)
            objective = SitarObjective(
                network, self.noise_scale, self.beta, self.consistency_weight, self.reconstruction, self.class_balanced
            )
            rule = "balanced" if rule == "auto" and validation.groups is None else rule
        else:
            known = self._evidence(rows, task)
            self.group_inference_, network.vae = known.summary(), known.axes.vae
            rows = known.rows
            if rule == "auto" and validation.groups is None:
                validation = known.of_validation(validation, task.generator)
                rule = known.rule
                marks = {"debiased": True} if known.debias_mode == "recolouring" else {}
            objective = ScaleFreeObjective(
                network, self.noise_scale, self.consistency_weight, self.beta, known, self.class_balanced
            )
            extras = (known.axes.attribute,)
        best = BestEpoch(network, validation, rule, source)
        self.history_ = train(
            objective,
            rows,
            Schedule(self.epochs, self.batch_size, self.learning_rate),
            generator=task.generator,
            device=self.device,
            extras=extras,
            callback=best.observe,
            verbose=self.verbose,
            description="SITAR",
        )
        self.selection_ = {**best.restore(), **marks}
        self.shortcut_scores_ = self._scores(network, rows, task.n_classes)
        return network

    def _evidence(self, rows: Samples, task: FitData) -> ShortcutEvidence:
        """Return what speaks for a shortcut in the training data."""
        return find_shortcut_evidence(
            rows,
            task.n_classes,
            seed=int(task.generator.integers(2**31)),
            latent_dim=self.latent_dim,
            beta=self.beta,
            channels=self.channels,
            epochs=self.first_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            device=self.device,
            verbose=self.verbose,
        )

    def _scores(self, network: SitarNet, rows: Samples, n_classes: int) -> np.ndarray:
        latents = predict_logits(network.encoder, rows)
        if active_axes(latents.numpy()).sum() <= min(1, self.latent_dim - 1):
            warnings.warn(
                f"the posterior has collapsed: {int(active_axes(latents.numpy()).sum())} of {self.latent_dim} latent "
                f"axes vary over the training data. beta={self.beta:g} is too high for them",
                UserWarning,
                stacklevel=4,
            )
        labels = torch.from_numpy(rows.y)
        return shortcut_scores(latents, labels, n_classes, class_balanced=self.class_balanced).numpy()


class SitarNet(nn.Module):
    """Beta-VAE with a classifier on its latent space: linear 128, ReLU, linear C."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        latent_dim: int,
        channels: Sequence[int],
        heads: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.vae = VAE(input_shape, latent_dim, channels, heads=heads)
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
        # Scores get no gradient: the encoder could otherwise lower them instead of the classifier becoming flat.
        means, labels = gathered(mean.detach()), gathered(y)
        scores = shortcut_scores(means, labels, clean.shape[1], class_balanced=self.class_balanced)
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


class ScaleFreeObjective(nn.Module):
    """SITAR's loss in a form in which no scale can be traded for invariance.

    Parameters
    ----------
    network : SitarNet
        Its VAE has been trained alone.
    noise, weight, beta : float
        Alpha in standard deviations, lambda, and beta as ``SITAR`` has them.
    known : ShortcutEvidence
    class_balanced : bool
        Whether scores weigh the classes equally.
    """

    scores: Tensor

    def __init__(
        self, network: SitarNet, noise: float, weight: float, beta: float, known: ShortcutEvidence, class_balanced: bool
    ) -> None:
        super().__init__()
        self.network, self.noise, self.weight = network, noise, weight
        self.beta = scaled_beta(beta, known.rows)
        # A classifier that weighs more has the shortcut written all over the axes unless images surely contradict it.
        self.share = 1 / (summed_variance(known.rows) if known.is_confident else scaled_beta(1.0, known.rows))
        self.class_balanced = class_balanced
        self.recolouring = known.maps if known.debias_mode == "recolouring" else None
        self.n_values = known.axes.n_values
        self.register_buffer("scores", torch.from_numpy(known.axes.scores).float())

    def forward(self, x: Tensor, y: Tensor, weight: Tensor, attribute: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch, with pseudo-attributes (n,), and its terms."""
        network = self.network
        if self.recolouring is not None:
            x = self.recolouring.apply(x, attribute, torch.randint_like(attribute, self.n_values))
        mean, log_variance, latent, output = network.vae(x)
        clean = network.classifier(latent)
        means, labels = gathered(mean.detach()), gathered(y)
        fresh = shortcut_scores(means, labels, clean.shape[1], class_balanced=self.class_balanced)
        # One class alone has no correlation. Decided on the device: a step that asked for the answer would wait for it
        several = (labels != labels[0]).any()
        self.scores.copy_(torch.where(several, self.scores.lerp(fresh, 0.1), self.scores))
        # Relative to each axis's scale, so that stretching an axis does not shrink the noise.
        std = means.std(0, correction=0)
        noisy = network.classifier(perturb(latent, self.scores * std, self.noise))
        terms = {
            "reconstruction": reconstruction_error(network.vae.standardize(x), output),
            "kl": kl_to_standard_normal(mean, log_variance),
            "cross_entropy": (cross_entropy(noisy, y, reduction="none") * weight).mean(),
            # Between probabilities: squared logits could be satisfied by shrinking all logits.
            "consistency": divergence(clean, noisy),
        }
        vae = self.share * (terms["reconstruction"] + self.beta * terms["kl"])
        loss = vae + terms["cross_entropy"] + self.weight * terms["consistency"]
        return {"loss": loss, **terms, "top_score": self.scores.max()}
