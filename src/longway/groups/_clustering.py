"""Clustering of points: at gaps in their density, or along their widest direction if there are none."""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture

MOST_POINTS = 10_000
"""Random points that a mixture is fitted to, at most."""
# The following constants are from docs/experiments/0007-sitar-default.md or chosen by hand.
# Restarts of a mixture; the one with the highest likelihood is kept.
STARTS = 8
# Added to each variance: a cluster of identical points would otherwise have infinite likelihood.
LEAST_VARIANCE = 1e-4
# Mean posterior probability of a point's own cluster; below it, the clusters overlap.
CERTAIN = 0.98
# Points per parameter of the mixture; with fewer, it is certain of clusters that do not exist.
ENOUGH = 5
# Inverse penalty of the boundaries: almost none, so that they lie midway between separate clusters.
FAR = 1e3

Clustering: TypeAlias = LogisticRegression | KMeans
"""A model whose ``predict`` returns the cluster of a point."""


def cluster_points(points: np.ndarray, n_parts: int, seed: int) -> Clustering:
    """Cluster points.

    A mixture of Gaussians finds elongated, oblique clusters of different sizes, whereas k-means always halves the
    widest direction. If there are no clusters, halving points on shortcut axes is the right fallback, and a mixture
    would be arbitrary.

    The boundaries between the clusters of a mixture are linear. The mixture itself would assign a point far from all
    clusters to the widest one, even if another is nearer.

    Parameters
    ----------
    points : ndarray of shape (n, k), float64
        Scaled to a standard deviation of about 1.
    n_parts : int
        Number of clusters.
    seed : int

    Returns
    -------
    Clustering
    """
    some = points[np.sort(np.random.default_rng(seed).permutation(len(points))[:MOST_POINTS])]
    k = points.shape[1]
    if len(some) >= ENOUGH * n_parts * (k + k * (k + 1) // 2):
        mixture = GaussianMixture(
            n_parts, reg_covar=LEAST_VARIANCE, n_init=STARTS, init_params="k-means++", random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one more iteration moves few points
            mixture.fit(some)
            certainty = mixture.predict_proba(some)
            parts = certainty.argmax(1)
            if certainty.max(1).mean() >= CERTAIN and len(np.unique(parts)) == n_parts:
                return LogisticRegression(C=FAR, max_iter=1000).fit(some, parts)
    return KMeans(n_parts, n_init=10, random_state=seed).fit(points)
