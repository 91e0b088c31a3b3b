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
from longway.groups._clustering import Cut, cut_points
from longway.nn.vae import CHANNELS, VAE, MeanEncoder, VAEObjective, active_axes, scaled_beta
from longway.training.loop import Schedule, train
from longway.utils.rules import COUNT, NON_NEGATIVE, POSITIVE, UP_TO_ONE, WIDTHS

NO_GAPS = "no gap was found that sets the pseudo-groups of the shortcut axes apart: they may halve a continuum"
"""What is to be said of a cut where no mixture is sure of its parts."""


@dataclass(frozen=True)
class AxisGroups(InferredGroups):
    """Groups whose pseudo-attribute was read off latent axes of a beta-VAE.

    Parameters
    ----------
    scores : ndarray of shape (d,)
        Shortcut score of each latent axis.
    axes : tuple of int
        The axes that the pseudo-attribute was read from.
    vae : VAE
        The network whose d latent axes these are.
    scale : ndarray of shape (k,)
        What the means of the k chosen axes are multiplied by before they are cut.
    cut : Cut
        Maps the scaled means of the chosen axes to a value of the pseudo-attribute.
    latents : ndarray of shape (n, d)
        Latent means of the training rows.
    axis_doubts : tuple of str
        Those of the doubts that are about the axes and whether the cut is stable, not about gaps or sizes.
    **inferred
        What all ``InferredGroups`` have.
    """

    strategy: ClassVar[str] = "axes"

    scores: np.ndarray
    axes: tuple[int, ...]
    vae: VAE
    scale: np.ndarray
    cut: Cut
    latents: np.ndarray
    axis_doubts: tuple[str, ...]

    def common_attribute(self, rows: Samples | None = None) -> np.ndarray | None:
        """Return the pseudo-attribute."""
        return self.attribute if rows is None else self.attribute_of(rows)

    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return the pseudo-attribute of rows, of shape (m,), from their latent means."""
        latents = predict_logits(MeanEncoder(self.vae), rows).numpy()[:, self.axes].astype(np.float64)
        return self.cut.predict(latents * self.scale).astype(np.int64)

    def traverse(self, steps: int = 9) -> np.ndarray:
        """Decode walks along each axis, from its 1st to its 99th percentile and with the other axes at their means.

        Returns
        -------
        ndarray of shape (d, steps, ...)
            One reconstruction per axis and step.
        """
        return walks(self.vae, self.latents, steps)

    @property
    def is_plain(self) -> bool:
        """Whether the axes and the cut raise no doubt, be there gaps or not and the groups as small as they may."""
        return not self.axis_doubts

    @property
    def has_gaps(self) -> bool:
        """Whether gaps set apart the parts that the axes were cut into, as far as ``cut_points`` is sure of them."""
        return not isinstance(self.cut, KMeans)

    def _particulars(self) -> dict[str, Any]:
        return {"axes": list(self.axes), "scores": self.scores.tolist(), "gaps": self.has_gaps}


def walks(vae: VAE, latents: np.ndarray, steps: int = 9) -> np.ndarray:
    """Decode walks along each axis of latent means (n, d), from its 1st to its 99th percentile, others at their means.

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
    ``min_relative_score`` of the highest are clustered together by ``cut_points``, because one axis alone misreads a
    shortcut that is spread over two; each is first divided by its standard deviation and multiplied by its score.

    Parameters
    ----------
    rows : Rows
        Training data.
    n_classes : int
        C.
    seed : int
        Of training and of the cut.
    latent_dim : int, default 10
        Number of latent axes d.
    beta : float, default 2
        Weight of the KL term beside the squared error summed over one sample; on images times ``scaled_beta``.
    channels : sequence of int
        Of the beta-VAE on images.
    epochs, batch_size, learning_rate
        Of the beta-VAE.
    min_relative_score : float, default 0.5
        Share of the highest score from which an axis counts as part of the shortcut.
    n_values : int, optional
        Values of the pseudo-attribute; as many as there are classes if not given.
    min_group_size : int, default 5
        A group below this size is too small to lean on and raises a doubt.

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
    scale = scores[list(axes)].clip(min=1e-3) / chosen.std(0).clip(min=1e-12)
    cut = cut_points(chosen * scale, n_values, seed)
    attribute = cut.predict(chosen * scale).astype(np.int64)
    groups = rows.y * n_values + attribute
    of_axes = _axis_doubts(scores, latents.numpy(), beta) + _cut_doubts(chosen * scale, n_values, seed)
    no_gaps = (NO_GAPS,) if isinstance(cut, KMeans) else ()
    caveats = of_axes + no_gaps + size_caveats(groups, n_classes * n_values, min_group_size)
    return AxisGroups(attribute, groups, n_values, caveats, scores, axes, vae, scale, cut, latents.numpy(), of_axes)


def _axis_doubts(scores: np.ndarray, latents: np.ndarray, beta: float) -> tuple[str, ...]:
    """Return what speaks against the axes: none in use, or none associated with the label."""
    if not active_axes(latents).any():
        return (f"the beta-VAE uses none of its axes: beta={beta:g} is too high for these data, or epochs too few",)
    if scores.max() < 0.2:
        return (f"no axis is plainly associated with the label (highest score {scores.max():.2f})",)
    return ()


def _cut_doubts(points: np.ndarray, n_values: int, seed: int) -> tuple[str, ...]:
    """Return what speaks against a cut of points (n, k): half of them would have been cut elsewhere."""
    if len(points) < 4 * n_values:
        return ()
    order = np.random.default_rng(seed).permutation(len(points))
    halves = [cut_points(points[order[k::2]], n_values, seed) for k in (0, 1)]
    agreed = matched_share(*(half.predict(points) for half in halves))
    if agreed >= 0.95:
        return ()
    return (
        f"the pseudo-attribute is unstable: cut from either half of the data, {100 * agreed:.0f} % of the rows keep it",
    )


def matched_share(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of rows on which two codings (n,) agree, the values of one matched to those of the other.

    Examples
    --------
    >>> matched_share(np.array([0, 0, 1, 2]), np.array([5, 5, 0, 0]))
    0.75
    """
    table = np.zeros((first.max() + 1, second.max() + 1), np.int64)
    np.add.at(table, (first, second), 1)
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / len(first))
