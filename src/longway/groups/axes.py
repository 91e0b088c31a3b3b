"""Groups from shortcut axes: the latent axes of a beta-VAE that are most associated with the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

from longway.data.samples import Samples, predict_logits
from longway.functional.scores import shortcut_scores
from longway.groups._base import InferredGroups, size_caveats
from longway.groups._clustering import Clustering, cluster_points
from longway.nn.vae import CHANNELS, VAE, MeanEncoder, VAEObjective, active_axes, scaled_beta
from longway.training.loop import Schedule, train
from longway.utils.rules import COUNT, NON_NEGATIVE, POSITIVE, UP_TO_ONE, WIDTHS

NO_GAPS = "no gap separates the pseudo-groups of the shortcut axes: they may split a continuum"
"""The caveat of clusters that overlap."""


@dataclass(frozen=True)
class AxisGroups(InferredGroups):
    """Groups whose pseudo-attribute was read off latent axes of a beta-VAE.

    Parameters
    ----------
    scores : ndarray of shape (d,)
        Shortcut score of each latent axis.
    axes : tuple of int
        The axes that the pseudo-attribute is read from.
    vae : VAE
        The network with the d latent axes.
    scale : ndarray of shape (k,)
        Factors of the means of the k chosen axes before clustering.
    clustering : Clustering
        Maps the scaled means of the chosen axes to a value of the pseudo-attribute.
    latents : ndarray of shape (n, d)
        Latent means of the training samples.
    axis_caveats : tuple of str
        The caveats about the axes and the stability of the clustering, not about gaps or sizes.
    **inferred
        As in ``InferredGroups``.
    """

    strategy: ClassVar[str] = "axes"

    scores: np.ndarray
    axes: tuple[int, ...]
    vae: VAE
    scale: np.ndarray
    clustering: Clustering
    latents: np.ndarray
    axis_caveats: tuple[str, ...]

    def common_attribute(self, rows: Samples | None = None) -> np.ndarray | None:
        """Return the pseudo-attribute."""
        return self.attribute if rows is None else self.attribute_of(rows)

    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return the pseudo-attribute of samples, of shape (m,), from their latent means."""
        latents = predict_logits(MeanEncoder(self.vae), rows).numpy()[:, self.axes].astype(np.float64)
        return self.clustering.predict(latents * self.scale).astype(np.int64)

    def traverse(self, steps: int = 9) -> np.ndarray:
        """Decode walks along each axis; see ``walks``."""
        return walks(self.vae, self.latents, steps)

    @property
    def is_reliable(self) -> bool:
        """True if axes and clustering raise no caveat, regardless of gaps and group sizes."""
        return not self.axis_caveats

    @property
    def has_gaps(self) -> bool:
        """True if gaps separate the clusters on the axes."""
        return not isinstance(self.clustering, KMeans)

    def _particulars(self) -> dict[str, Any]:
        return {"axes": list(self.axes), "scores": self.scores.tolist(), "gaps": self.has_gaps}


def walks(vae: VAE, latents: np.ndarray, steps: int = 9) -> np.ndarray:
    """Decode walks along each axis of latent means (n, d), from its 1st to its 99th percentile, the others at their
    mean.

    Returns
    -------
    ndarray of shape (d, steps, ...)
        One reconstruction per axis and step.
    """
    low, high = np.percentile(latents, [1, 99], axis=0)
    d = latents.shape[1]
    places = np.tile(latents.mean(0), (d, steps, 1))
    for axis in range(d):
        places[axis, :, axis] = np.linspace(low[axis], high[axis], steps)
    weight = next(vae.decoder.parameters())
    with torch.inference_mode():
        decoded = vae.decoder(torch.from_numpy(places.reshape(-1, d)).to(weight)).cpu()
    return decoded.numpy().reshape(d, steps, *decoded.shape[1:])


def shortcut_axes(
    rows: Samples,
    n_classes: int,
    *,
    seed: int,
    latent_dim: Annotated[int, COUNT] = 10,
    beta: Annotated[float, NON_NEGATIVE] = 2.0,
    channels: Annotated[Sequence[int], WIDTHS] = CHANNELS,
    epochs: Annotated[int, COUNT] = 8,
    batch_size: Annotated[int, COUNT] = 128,
    learning_rate: Annotated[float, POSITIVE] = 1e-3,
    min_relative_score: Annotated[float, UP_TO_ONE] = 0.5,
    n_values: int | None = None,
    min_group_size: Annotated[int, COUNT] = 5,
    device: str = "auto",
    verbose: int = 0,
) -> AxisGroups:
    """Read a pseudo-attribute off the latent axes that are most associated with the label.

    A beta-VAE is trained without labels, and each axis gets its shortcut score. The axes that score at least
    ``min_relative_score`` of the highest are clustered together by ``cluster_points``, because one axis alone misreads
    a shortcut that is spread over two; each is first divided by its standard deviation and multiplied by its score.

    Parameters
    ----------
    rows : Samples
        Training data.
    n_classes : int
        C.
    seed : int
        Seed of training and of the clustering.
    latent_dim : int, default 10
        Number of latent axes d.
    beta : float, default 2
        Weight of the KL term relative to the squared error summed over a sample; on images times ``scaled_beta``.
    channels : sequence of int
        Of the beta-VAE on images.
    epochs, batch_size, learning_rate
        Of the beta-VAE.
    min_relative_score : float, default 0.5
        Lowest score, relative to the highest, at which an axis belongs to the shortcut.
    n_values : int, optional
        Number of values of the pseudo-attribute; by default the number of classes.
    min_group_size : int, default 5
        A smaller group is unreliable and raises a caveat.

    Returns
    -------
    AxisGroups
    """
    n_values = n_values or n_classes
    vae = VAE(rows.shape, latent_dim, channels)
    vae.set_moments(rows)
    train(
        VAEObjective(vae, scaled_beta(beta, rows)),
        rows,
        Schedule(epochs, batch_size, learning_rate),
        generator=np.random.default_rng(seed),
        device=device,
        verbose=verbose,
        description="beta-VAE",
    )
    vae.cpu().eval()
    latents = predict_logits(MeanEncoder(vae), rows)
    scores = shortcut_scores(latents, torch.from_numpy(rows.y), n_classes).numpy()
    axes = tuple(int(j) for j in np.argsort(-scores) if scores[j] >= min_relative_score * scores.max())
    chosen = latents.numpy()[:, axes].astype(np.float64)
    # Standardised and weighted by score, so that weakly associated axes do not dominate the clustering.
    scale = scores[list(axes)].clip(min=1e-3) / chosen.std(0).clip(min=1e-12)
    clustering = cluster_points(chosen * scale, n_values, seed)
    attribute = clustering.predict(chosen * scale).astype(np.int64)
    groups = rows.y * n_values + attribute
    of_axes = _axis_caveats(scores, latents.numpy(), beta) + _clustering_caveats(chosen * scale, n_values, seed)
    no_gaps = (NO_GAPS,) if isinstance(clustering, KMeans) else ()
    caveats = of_axes + no_gaps + size_caveats(groups, n_classes * n_values, min_group_size)
    return AxisGroups(
        attribute, groups, n_values, caveats, scores, axes, vae, scale, clustering, latents.numpy(), of_axes
    )


def _axis_caveats(scores: np.ndarray, latents: np.ndarray, beta: float) -> tuple[str, ...]:
    """Return the caveats about the axes: none in use, or none associated with the label."""
    if not active_axes(latents).any():
        return (f"the beta-VAE uses none of its axes: beta={beta:g} is too high for these data, or epochs too few",)
    if scores.max() < 0.2:
        return (f"no axis is clearly associated with the label (highest score {scores.max():.2f})",)
    return ()


def _clustering_caveats(points: np.ndarray, n_values: int, seed: int) -> tuple[str, ...]:
    """Return the caveat about a clustering of points (n, k) that halves of the data do not reproduce."""
    if len(points) < 4 * n_values:
        return ()
    order = np.random.default_rng(seed).permutation(len(points))
    halves = [cluster_points(points[order[k::2]], n_values, seed) for k in (0, 1)]
    agreed = matched_agreement(*(half.predict(points) for half in halves))
    if agreed >= 0.95:
        return ()
    return (
        f"the pseudo-attribute is unstable: clusterings of two halves agree on {100 * agreed:.0f} % of the samples",
    )


def matched_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Return the fraction of samples on which two codings (n,) agree, their values matched optimally.

    Examples
    --------
    >>> matched_agreement(np.array([0, 0, 1, 2]), np.array([5, 5, 0, 0]))
    0.75
    """
    table = np.zeros((first.max() + 1, second.max() + 1), np.int64)
    np.add.at(table, (first, second), 1)
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / len(first))
