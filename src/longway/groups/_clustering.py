"""Cutting points into parts: where their density has gaps, or along their widest direction where it has none."""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture

MOST_POINTS = 10_000
"""Points, drawn at random, that a mixture is fitted to."""

STARTS = 8
"""Mixtures that begin from starts of their own, of which the likeliest is kept."""

LEAST_VARIANCE = 1e-4
"""What is added to each variance: a part of equal points would else have an infinite likelihood."""

CERTAIN = 0.98
"""How sure a mixture must be of the part of a point, on average; less says that its parts run into each other."""


ENOUGH = 5
"""Points for each number that a mixture is made of; with fewer it is sure of parts that are not there."""

FAR = 1e3
"""The inverse penalty of the boundaries: next to none, so that they lie midway between parts that are apart."""

Cut: TypeAlias = LogisticRegression | KMeans
"""Says by ``predict`` in which part a point is."""


def cut_points(points: np.ndarray, n_parts: int, seed: int) -> Cut:
    """Cut points into parts.

    A mixture of Gaussians finds parts that are long and narrow, lie aslant and differ in size, where k-means halves the
    widest direction, whatever lies in it. Where there are no parts, halving is what is wanted of points that lie on
    shortcut axes, and what a mixture makes of them is arbitrary.

    The boundaries between a mixture's parts are drawn straight. By the mixture itself, a point off all of them would be
    of the widest, however near another is.

    Parameters
    ----------
    points : ndarray of shape (n, k), float64
        In units in which their spread is about 1.
    n_parts : int
        Number of parts.
    seed : int

    Returns
    -------
    Cut
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
