"""Groups from shortcut axes: the latent axes of a beta-VAE that are most associated with the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans

from longway.functional.scores import shortcut_scores
from longway.groups.contract import InferredGroups, size_doubts
from longway.nn.vae import VAE, MeanEncoder, VAEObjective
from longway.rows import Rows, predict_logits
from longway.training import Schedule, train


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
    cut : KMeans
        Maps the chosen latent means to a value of the pseudo-attribute.
    latents : ndarray of shape (n, d)
        Latent means of the training rows.
    **inferred
        What all ``InferredGroups`` have.
    """

    scores: np.ndarray
    axes: tuple[int, ...]
    vae: VAE
    cut: KMeans
    latents: np.ndarray

    def attribute_of(self, rows: Rows) -> np.ndarray:
        """Return the pseudo-attribute of rows, of shape (m,), from their latent means."""
        latents = predict_logits(MeanEncoder(self.vae), rows).numpy()[:, self.axes]
        return self.cut.predict(latents.astype(np.float64)).astype(np.int64)

    def traverse(self, steps: int = 9) -> np.ndarray:
        """Decode walks along each axis, from its 1st to its 99th percentile and with the other axes at their means.

        Returns
        -------
        ndarray of shape (d, steps, ...)
            One reconstruction per axis and step.
        """
        low, high = np.percentile(self.latents, [1, 99], axis=0)
        d = self.latents.shape[1]
        walks = np.tile(self.latents.mean(0), (d, steps, 1))
        for axis in range(d):
            walks[axis, :, axis] = np.linspace(low[axis], high[axis], steps)
        with torch.inference_mode():
            decoded = self.vae.decoder(torch.from_numpy(walks.reshape(-1, d)).float())
        return decoded.numpy().reshape(d, steps, *decoded.shape[1:])

    def _particulars(self) -> dict[str, Any]:
        return {"axes": list(self.axes), "scores": self.scores.tolist()}


def shortcut_axes(
    rows: Rows,
    n_classes: int,
    *,
    seed: int,
    latent_dim: int = 10,
    beta: float = 2.0,
    epochs: int = 8,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    share: float = 0.5,
    smallest: int = 5,
    device: str = "auto",
    verbose: int = 0,
) -> AxisGroups:
    """Read a pseudo-attribute off the latent axes that are most associated with the label.

    A beta-VAE is trained without labels; each axis gets its shortcut score; all axes that score at least ``share`` of
    the highest are cut by k-means into as many values as there are classes. All of them, because a shortcut that is
    spread over two axes is misread from one.

    Parameters
    ----------
    rows : Rows
        Training data.
    n_classes : int
        C, also the number of values of the pseudo-attribute.
    seed : int
        Of training and of k-means.
    latent_dim : int, default 10
        Number of latent axes d.
    beta : float, default 2
        Weight of the KL term beside the squared error summed over one sample.
    epochs, batch_size, learning_rate
        Of the beta-VAE.
    share : float, default 0.5
        Share of the highest score from which an axis counts as part of the shortcut.
    smallest : int, default 5
        A group below this size is too small to lean on and raises a doubt.

    Returns
    -------
    AxisGroups
    """
    vae = VAE(rows.shape, latent_dim)
    vae.set_moments(rows)
    train(
        VAEObjective(vae, beta),
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
    axes = tuple(int(j) for j in np.argsort(-scores) if scores[j] >= share * scores.max())
    chosen = latents.numpy()[:, axes].astype(np.float64)
    cut = KMeans(n_classes, n_init=10, random_state=seed).fit(chosen)
    attribute = cut.labels_.astype(np.int64)
    groups = rows.y * n_classes + attribute
    doubts = _doubts(scores, groups, n_classes**2, smallest)
    return AxisGroups(attribute, groups, n_classes, doubts, scores, axes, vae, cut, latents.numpy())


def _doubts(scores: np.ndarray, groups: np.ndarray, n_groups: int, smallest: int) -> tuple[str, ...]:
    """Return the reasons not to trust groups with these axis scores and group sizes."""
    plain = (
        ()
        if scores.max() >= 0.2
        else (f"no axis is plainly associated with the label (highest score {scores.max():.2f})",)
    )
    return plain + size_doubts(groups, n_groups, smallest)
