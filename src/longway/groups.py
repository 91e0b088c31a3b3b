"""Groups without group labels, and how far to trust them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans

from longway import checks
from longway.errors import LongwayError, nearest
from longway.functional.scores import shortcut_scores
from longway.nn.vae import VAE, MeanEncoder, VAEObjective
from longway.rows import Rows, predict_logits
from longway.training import Schedule, seeded, train


@dataclass(frozen=True)
class InferredGroups:
    """Groups (class x pseudo-attribute) that were read off data without group labels.

    Parameters
    ----------
    attribute : ndarray of shape (n,), int64
        Pseudo-attribute of each training row.
    groups : ndarray of shape (n,), int64
        ``class * n_values + attribute``.
    scores : ndarray of shape (d,)
        Shortcut score of each latent axis.
    axes : tuple of int
        The axes that the pseudo-attribute was read from.
    doubts : tuple of str
        Reasons not to trust the groups; empty where none was found.
    vae : VAE
        The network whose d latent axes these are.
    cut : KMeans
        Maps the chosen latent means to a value of the pseudo-attribute.
    latents : ndarray of shape (n, d)
        Latent means of the training rows.
    """

    attribute: np.ndarray
    groups: np.ndarray
    scores: np.ndarray
    axes: tuple[int, ...]
    doubts: tuple[str, ...]
    vae: VAE
    cut: KMeans
    latents: np.ndarray

    def assign(self, rows: Rows) -> np.ndarray:
        """Return the inferred group of each row, of shape (n,), from its class and its latent means."""
        latents = predict_logits(MeanEncoder(self.vae), rows).numpy()[:, self.axes]
        return rows.y * self.cut.n_clusters + self.cut.predict(latents.astype(np.float64))

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

    def summary(self) -> dict[str, Any]:
        """Return what a record of the fit should hold, ready for JSON."""
        return {
            "axes": list(self.axes),
            "scores": self.scores.tolist(),
            "group_sizes": np.bincount(self.groups).tolist(),
            "doubts": list(self.doubts),
        }


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
) -> InferredGroups:
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
    InferredGroups
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
    doubts = _doubts(scores, np.bincount(groups, minlength=n_classes**2), smallest)
    return InferredGroups(attribute, groups, scores, axes, doubts, vae, cut, latents.numpy())


WAYS: dict[str, Callable[..., InferredGroups]] = {"axes": shortcut_axes}
"""Ways to infer groups, by name."""


def find_groups(rows: Rows, n_classes: int, way: str, *, seed: int, **options: Any) -> InferredGroups:
    """Infer groups of training rows in one of ``WAYS``; what ``infer_groups`` does, for rows that are checked already.

    Raises
    ------
    LongwayError
        If the way or one of its options is unknown.
    """
    if way not in WAYS:
        raise LongwayError(f"infer={way!r} is unknown; {nearest(way, WAYS)}")
    known = WAYS[way].__kwdefaults__ or {}
    for name in options:
        if name not in known:
            raise LongwayError(f"infer_options has no {name!r} for {way!r}; {nearest(name, known)}")
    with seeded(seed):
        return WAYS[way](rows, n_classes, seed=seed, **options)


def infer_groups(X: np.ndarray, y: np.ndarray, way: str = "axes", *, seed: int = 0, **options: Any) -> InferredGroups:
    """Infer groups of labelled data without group labels.

    Parameters
    ----------
    X : ndarray of shape (n, d) or (n, c, h, w)
        Features or images.
    y : ndarray of shape (n,)
        Labels.
    way : {"axes"}, default "axes"
        See ``shortcut_axes``.
    seed : int, default 0
    **options
        Of that way.

    Returns
    -------
    InferredGroups

    Raises
    ------
    LongwayError
        If the input cannot be used, or the way or one of its options is unknown.
    """
    X = np.asarray(X)
    inputs = checks.images(X, "X") if X.ndim == 4 else X
    checks.finite(inputs, "X")
    classes, codes = np.unique(checks.labels(y, len(inputs)), return_inverse=True)
    return find_groups(Rows(inputs, codes, np.ones(len(codes))), len(classes), way, seed=seed, **options)


def _doubts(scores: np.ndarray, sizes: np.ndarray, smallest: int) -> tuple[str, ...]:
    """Return the reasons not to trust groups with these axis scores and group sizes."""
    doubts = []
    if scores.max() < 0.2:
        doubts.append(f"no axis is plainly associated with the label (highest score {scores.max():.2f})")
    if sizes.min() < smallest:
        doubts.append(
            f"a group has {sizes.min()} samples: hardly one contradicts the shortcut, so the groups say what the "
            "labels say"
        )
    return tuple(doubts)
