"""Convex problems of linear heads, solved as such: multinomial logistic regression on data of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import cross_entropy

from longway.functional.hypergradient import Head

Chunks = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor]]]
"""Yields (features (m, d), labels (m,), weights (m,)) over all the data, the same each time it is called."""


def logistic_regression(
    chunks: Chunks,
    n_features: int,
    n_classes: int,
    *,
    ridge: Tensor | float,
    start: Head | None = None,
    tolerance: float = 1e-6,
    max_iter: int = 1000,
) -> Head:
    """Minimise the weighted mean cross-entropy of a linear head plus a ridge, in one pass over the data a step.

    Parameters
    ----------
    chunks : callable
        Gives the data as an iterator of (features, labels, weights), so that they never need to be in memory at once.
        Weights must sum to 1 over all chunks.
    n_features, n_classes : int
        d and C.
    ridge : float or Tensor of shape (d,)
        The penalty is ``0.5 * sum_j ridge_j * sum_c weight_cj ** 2``; the bias is free. A vector makes the ridge
        anisotropic: with ``1 + lam * v ** 2`` it is Theorem 1 of SITAR for a linear head.
    start : Head, optional
        Where to start; zero if not given.
    tolerance : float, default 1e-6
        Stops when no entry of the gradient exceeds it.
    max_iter : int, default 1000
        L-BFGS iterations at most.

    Returns
    -------
    Head
        In float64, on the CPU.
    """
    ridge = torch.as_tensor(ridge, dtype=torch.float64).expand(n_features)
    # Steps are taken in weight * scale: for standardised features all curvatures are then of one order, however
    # anisotropic the ridge.
    scale = torch.cat([(ridge + 0.25).sqrt(), torch.full((1,), 0.5, dtype=torch.float64)])
    begin = torch.zeros(n_classes, n_features + 1, dtype=torch.float64)
    if start is not None:
        begin = torch.cat([start.weight, start.bias.unsqueeze(1)], 1).double().cpu() * scale

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = torch.from_numpy(flat).reshape(begin.shape) / scale
        weight, bias = parameters[:, :-1], parameters[:, -1]
        loss = 0.5 * (ridge * weight.square()).sum()
        gradient = torch.cat([ridge * weight, torch.zeros_like(bias).unsqueeze(1)], 1)
        for features, labels, weights in chunks():
            head = Head(weight.to(features), bias.to(features))
            logits = head.logits(features)
            loss += (cross_entropy(logits, labels, reduction="none") @ weights).cpu()
            residual = logits.softmax(1)
            residual[torch.arange(len(labels)), labels] -= 1
            residual *= weights.unsqueeze(1)
            gradient[:, :-1] += (residual.T @ features).cpu()
            gradient[:, -1] += residual.sum(0).cpu()
        return loss.item(), (gradient / scale).numpy().ravel()

    options = {"maxiter": max_iter, "maxcor": 20, "gtol": tolerance, "ftol": 0.0, "maxfun": 4 * max_iter}
    flat = minimize(objective, begin.numpy().ravel(), jac=True, method="L-BFGS-B", options=options).x
    solution = torch.from_numpy(flat).reshape(begin.shape) / scale
    return Head(solution[:, :-1].clone(), solution[:, -1].clone())
