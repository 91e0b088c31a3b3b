"""Linear heads that judge rows which they did not see: what the audit asks where it has to fit something itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from longway.data.weights import inverse_frequency
from longway.linear._logistic import logistic_regression
from longway.linear.module import FeatureHead

ORDINARY, SIMPLE = 1e-2, 1.0
"""Ridges, on standardised features, of an ordinary head (that of ``ERM``) and of one that takes what is simplest."""

TOLERANCE, STEPS = 1e-5, 200
"""Of the solver: which side of a boundary samples lie on is settled long before the last digits of the optimum."""


def fit_head(points: np.ndarray, codes: np.ndarray, weight: np.ndarray, n_classes: int, l2: float) -> FeatureHead:
    """Fit a linear head to points (n, k), which are scaled already, with weights (n,)."""
    network = FeatureHead(points.shape[1], n_classes).double()
    known = torch.from_numpy(codes), torch.from_numpy(weight / weight.sum())
    held = (torch.from_numpy(np.ascontiguousarray(points)), *known)
    network.set_linear(
        logistic_regression(
            lambda: iter([held]), points.shape[1], n_classes, l2=l2, tolerance=TOLERANCE, max_iter=STEPS
        )
    )
    return network


def ask(head: FeatureHead, points: np.ndarray) -> np.ndarray:
    """Return a head's logits (m, C)."""
    with torch.inference_mode():
        return head(torch.from_numpy(np.ascontiguousarray(points))).numpy()


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of logits (m, C)."""
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def alike_halves(codes: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of two halves, each class dealt out in turn."""
    order = generator.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    return np.sort(order[::2]), np.sort(order[1::2])


def balanced(codes: np.ndarray) -> np.ndarray:
    """Return weights (n,) with which every code counts the same, 1 on average."""
    weight = inverse_frequency(codes, np.ones(len(codes)))
    return weight / weight.mean()


def cross_fitted(
    points: np.ndarray,
    codes: np.ndarray,
    groups: np.ndarray,
    n_classes: int,
    l2: float,
    parts: Sequence[np.ndarray],
) -> tuple[np.ndarray, list[FeatureHead]]:
    """Fit a head to each of two halves, every group counting the same, and ask it about the other half.

    Returns
    -------
    logits : ndarray of shape (n, C)
        Of each row, by the head that did not see it.
    heads : list of FeatureHead
        The i-th was fitted on the i-th half.
    """
    logits = np.empty((len(points), n_classes))
    heads = []
    for own, other in ((parts[0], parts[1]), (parts[1], parts[0])):
        head = fit_head(points[own], codes[own], balanced(groups[own]), n_classes, l2)
        logits[other] = ask(head, points[other])
        heads.append(head)
    return logits, heads
