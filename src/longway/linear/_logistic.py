"""Multinomial logistic regression of linear heads on data of any size, solved as a convex problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longway.linear._hypergradient import Head
from longway.linear._minimize import minimize_smooth

Chunks = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor]]]
"""Yields (features (m, d), labels (m,), weights (m,)) over all the data; repeatable."""


class Scaled:
    """A linear head on standardised features with an L2 penalty, as a vector for a solver.

    Steps are taken in weight * scale: for standardised features all curvatures are then of one order, however
    anisotropic the ridge.

    Parameters
    ----------
    n_features, n_classes : int
        d and C.
    l2 : float or Tensor of shape (d,)
        Penalty on squared weights; the bias is free.
    mean, std : Tensor of shape (d,), optional
        The head is of ``(features - mean) / std``.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        l2: Tensor | float,
        mean: Tensor | None = None,
        std: Tensor | None = None,
    ) -> None:
        self.l2 = torch.as_tensor(l2, dtype=torch.float64).expand(n_features)
        self.shift = torch.zeros(n_features, dtype=torch.float64) if mean is None else mean.double().cpu()
        self.width = torch.ones(n_features, dtype=torch.float64) if std is None else std.double().cpu()
        self.scale = torch.cat([(self.l2 + 0.25).sqrt(), torch.full((1,), 0.5, dtype=torch.float64)])
        self.shape = (n_classes, n_features + 1)

    def flat(self, head: Head | None) -> np.ndarray:
        """Return a head, zero if None, as a vector of shape (C * (d + 1),)."""
        if head is None:
            return np.zeros(self.shape[0] * self.shape[1])
        return (torch.cat([head.weight, head.bias.unsqueeze(1)], 1).double().cpu() * self.scale).numpy().ravel()

    def head(self, flat: np.ndarray) -> Head:
        """Return the head on standardised features from a vector."""
        parameters = torch.from_numpy(flat).reshape(self.shape) / self.scale
        return Head(parameters[:, :-1].clone(), parameters[:, -1].clone())

    def folded(self, flat: np.ndarray) -> Head:
        """Return the same head on raw features."""
        weight, bias = self.head(flat)
        return Head(weight / self.width, bias - (weight / self.width) @ self.shift)

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
            logits = Head(folded.weight.to(features), folded.bias.to(features)).logits(features)
            loss += (cross_entropy(logits, labels, reduction="none") @ weights).cpu()
            residual = logits.softmax(1)
            residual[torch.arange(len(labels)), labels] -= 1
            residual *= weights.unsqueeze(1)
            products += (residual.T @ features).cpu()
            sums += residual.sum(0).cpu()
        # Chain rule of the standardisation: d/dw = (X^T r - shift sum r) / width.
        by_weight = self.l2 * weight + (products - torch.outer(sums, self.shift)) / self.width
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
    start: Head | None = None,
    tolerance: float = 1e-6,
    max_iter: int = 1000,
) -> Head:
    """Minimise the weighted mean cross-entropy of a linear head plus an L2 penalty; each step is one pass over the
    data.

    Parameters
    ----------
    chunks : callable
        Gives the data as an iterator of (features, labels, weights), so that they never need to be in memory at once.
        Weights must sum to 1 over all chunks.
    n_features, n_classes : int
        d and C.
    l2 : float or Tensor of shape (d,)
        The penalty is ``0.5 * sum_j l2_j * sum_c weight_cj ** 2``; the bias is free. A vector makes the ridge
        anisotropic: with ``1 + lam * v ** 2`` it is Theorem 1 of SITAR for a linear head.
    mean, std : Tensor of shape (d,), optional
        Fit to ``(features - mean) / std`` instead, without ever computing it: the head takes up the scaling.
    start : Head, optional
        Where to start; zero if not given.
    tolerance : float, default 1e-6
        Stops when no entry of the gradient exceeds it.
    max_iter : int, default 1000
        L-BFGS iterations at most.

    Returns
    -------
    Head
        In float64, on the CPU; of the scaled features where a scaling is given.
    """
    scaled = Scaled(n_features, n_classes, l2, mean, std)
    flat = minimize_smooth(
        lambda flat: scaled.loss_and_gradient(flat, chunks()),
        scaled.flat(start),
        tolerance=tolerance,
        max_iter=max_iter,
    ).x
    return scaled.head(flat)
