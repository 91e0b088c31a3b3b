"""Multinomial logistic regression of linear heads on data of any size, solved as a convex problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longway.linear._minimize import minimize_smooth
from longway.linear.head import LinearHead

Chunks = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor]]]
"""Yields (features (m, d), labels (m,), weights (m,)) over all the data; repeatable."""


class LogisticObjective:
    """The L2-penalised cross-entropy of a linear head on standardised features, as a function of a flat vector.

    The vector holds weight * scale, so that all its entries have curvatures of one order even if ``l2`` differs from
    feature to feature.

    Parameters
    ----------
    n_features, n_classes : int
        d and C.
    l2 : float or Tensor of shape (d,)
        Penalty on squared weights; the bias is free.
    mean, std : Tensor of shape (d,), optional
        The head acts on ``(features - mean) / std``.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        l2: Tensor | float,
        mean: Tensor | None = None,
        std: Tensor | None = None,
    ) -> None:
        # Parameters and sums over the data are float64, whatever the features: L-BFGS compares losses that differ
        # by less than float32 resolves.
        self.l2 = torch.as_tensor(l2, dtype=torch.float64).expand(n_features)
        self.mean = torch.zeros(n_features, dtype=torch.float64) if mean is None else mean.double().cpu()
        self.std = torch.ones(n_features, dtype=torch.float64) if std is None else std.double().cpu()
        # p (1 - p) <= 1/4 bounds the loss's curvature for a feature of variance 1, to which the penalty adds l2.
        self.scale = torch.cat([(self.l2 + 0.25).sqrt(), torch.full((1,), 0.5, dtype=torch.float64)])
        self.shape = (n_classes, n_features + 1)

    def flat(self, head: LinearHead | None) -> np.ndarray:
        """Return a head, zero if None, as a vector of shape (C * (d + 1),)."""
        if head is None:
            return np.zeros(self.shape[0] * self.shape[1])
        return (head.joined().double().cpu() * self.scale).numpy().ravel()

    def head(self, flat: np.ndarray) -> LinearHead:
        """Return the head on standardised features from a vector."""
        parameters = torch.from_numpy(flat).reshape(self.shape) / self.scale
        return LinearHead(parameters[:, :-1].clone(), parameters[:, -1].clone())

    def folded(self, flat: np.ndarray) -> LinearHead:
        """Return the same head on raw features."""
        weight, bias = self.head(flat)
        return LinearHead(weight / self.std, bias - (weight / self.std) @ self.mean)

    def penalty(self, flat: np.ndarray) -> float:
        """Return the L2 penalty."""
        return 0.5 * (self.l2 * self.head(flat).weight.square()).sum().item()

    def loss_and_gradient(
        self, flat: np.ndarray, chunks: Iterable[tuple[Tensor, Tensor, Tensor]]
    ) -> tuple[float, np.ndarray]:
        """Return the weighted sum of cross-entropies plus the penalty, and its gradient, in one pass over the data."""
        weight, bias = self.head(flat)
        # The penalty applies to the weights on standardised features, the products below to the raw ones.
        loss = 0.5 * (self.l2 * weight.square()).sum()
        products, sums = torch.zeros_like(weight), torch.zeros_like(bias)
        folded = self.folded(flat)
        for features, labels, weights in chunks:
            logits = folded.to(features).logits(features)
            loss += (cross_entropy(logits, labels, reduction="none") @ weights).cpu()
            residual = logits.softmax(1)
            residual[torch.arange(len(labels)), labels] -= 1
            residual *= weights.unsqueeze(1)
            products += (residual.T @ features).cpu()
            sums += residual.sum(0).cpu()
        # Chain rule of the standardisation: d/dw = (r^T X - sum(r) mean^T) / std with the residuals r = p - y.
        by_weight = self.l2 * weight + (products - torch.outer(sums, self.mean)) / self.std
        gradient = torch.cat([by_weight, sums.unsqueeze(1)], 1) / self.scale
        return loss.item(), gradient.numpy().ravel()


def logistic_regression(
    chunks: Chunks,
    n_features: int,
    n_classes: int,
    *,
    l2: Tensor | float,
    mean: Tensor | None = None,
    std: Tensor | None = None,
    start: LinearHead | None = None,
    tolerance: float = 1e-6,
    max_iter: int = 1000,
) -> LinearHead:
    """Minimise the weighted mean cross-entropy of a linear head plus an L2 penalty; a step is a pass over the data.

    Parameters
    ----------
    chunks : callable
        Returns an iterator over (features, labels, weights), so that the data never need to be in memory at once.
        Weights must sum to 1 over all chunks.
    n_features, n_classes : int
        d and C.
    l2 : float or Tensor of shape (d,)
        The penalty is ``0.5 * sum_j l2_j * sum_c weight_cj ** 2``; the bias is free. A vector makes the penalty
        anisotropic: with ``1 + lam * v ** 2`` it is Theorem 1 of SITAR for a linear head.
    mean, std : Tensor of shape (d,), optional
        Fit to ``(features - mean) / std`` without computing it: the head absorbs the scaling.
    start : LinearHead, optional
        Initial head; zero if not given.
    tolerance : float, default 1e-6
        Stop when no entry of the gradient exceeds it.
    max_iter : int, default 1000
        L-BFGS iterations at most.

    Returns
    -------
    LinearHead
        In float64, on the CPU; on the scaled features if a scaling is given.
    """
    objective = LogisticObjective(n_features, n_classes, l2, mean, std)
    flat = minimize_smooth(
        lambda flat: objective.loss_and_gradient(flat, chunks()),
        objective.flat(start),
        tolerance=tolerance,
        max_iter=max_iter,
    ).x
    return objective.head(flat)
