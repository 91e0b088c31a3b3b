"""Linear heads fitted by the audit; each one is applied only to samples that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from longway.data.folds import deal_folds
from longway.data.weights import inverse_frequency
from longway.linear._logistic import logistic_regression
from longway.linear.feature_head import FeatureHead

ORDINARY, STRONG = 1e-2, 1.0
"""L2 penalties on standardised features: that of ``ERM``, and one that leaves only the simplest direction."""

TOLERANCE, MAX_ITER = 1e-5, 200
"""Solver settings: the side of a boundary is settled long before the last digits of the optimum."""


def fit_head(points: np.ndarray, codes: np.ndarray, weight: np.ndarray, n_classes: int, l2: float) -> FeatureHead:
    """Fit a linear head to points (n, k), already scaled, with weights (n,)."""
    network = FeatureHead(points.shape[1], n_classes).double()
    batch = (
        torch.from_numpy(np.ascontiguousarray(points)),
        torch.from_numpy(codes),
        torch.from_numpy(weight / weight.sum()),
    )
    network.set_linear(
        logistic_regression(
            lambda: iter([batch]), points.shape[1], n_classes, l2=l2, tolerance=TOLERANCE, max_iter=MAX_ITER
        )
    )
    return network


def head_logits(head: FeatureHead, points: np.ndarray) -> np.ndarray:
    """Return a head's logits (m, C)."""
    with torch.inference_mode():
        return head(torch.from_numpy(np.ascontiguousarray(points))).numpy()


def stratified_halves(codes: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of two halves with the same share of each class."""
    fold = deal_folds(codes, 2, generator)
    return np.flatnonzero(fold == 0), np.flatnonzero(fold == 1)


def cross_fit_heads(
    points: np.ndarray,
    codes: np.ndarray,
    groups: np.ndarray,
    n_classes: int,
    l2: float,
    halves: Sequence[np.ndarray],
) -> tuple[np.ndarray, list[FeatureHead]]:
    """Fit a head to each of two halves, with groups weighted equally, and apply it to the other half.

    Returns
    -------
    logits : ndarray of shape (n, C)
        Each row comes from the head that did not see the sample.
    heads : list of FeatureHead
        The i-th was fitted to the i-th half.
    """
    logits = np.empty((len(points), n_classes))
    heads = []
    for own, other in ((halves[0], halves[1]), (halves[1], halves[0])):
        weight = inverse_frequency(groups[own], np.ones(len(own)))
        head = fit_head(points[own], codes[own], weight / weight.mean(), n_classes, l2)
        logits[other] = head_logits(head, points[other])
        heads.append(head)
    return logits, heads
