"""Linear heads that minimise the largest group loss, a convex problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longway.linear._logistic import LogisticObjective
from longway.linear._minimize import minimize_smooth
from longway.linear.head import LinearHead

GroupedChunks = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]]
"""Yields (features (m, d), labels (m,), weights (m,), groups (m,)) over all the data; repeatable."""

TEMPERATURE = 0.03
"""Temperature of the smooth maximum, relative to the largest loss of the zero head. Smaller ones make the problem
stiff. Chosen by hand."""
ROUNDS = 50
"""Outer rounds, at most; the group weights are updated once in each. Ten rounds are typical."""


class Minimax(NamedTuple):
    """A head, the adversary's weights of the groups (G,), and a bound on its distance from the minimum."""

    head: LinearHead
    group_weights: Tensor
    gap: float


def minimax_regression(
    chunks: GroupedChunks,
    n_features: int,
    n_classes: int,
    n_groups: int,
    *,
    l2: Tensor | float,
    offset: Tensor | None = None,
    mean: Tensor | None = None,
    std: Tensor | None = None,
    accuracy: float = 5e-4,
    tolerance: float = 1e-6,
    max_iter: int = 1000,
) -> Minimax:
    r"""Minimise the largest group loss of a linear head plus an L2 penalty.

    The exponential method of multipliers. The largest loss is replaced by the smooth
    :math:`\tau \log \sum_g q_g \exp(L_g / \tau)`, which L-BFGS minimises. The weights are then updated to
    :math:`q_g \exp(L_g / \tau)`, normalised, and the next round starts from the last solution. The weights converge to
    those of the adversary at one moderate :math:`\tau`, so no round is stiff. The head of a round is optimal for its
    updated weights q, so :math:`\sum_g q_g L_g` plus the penalty is a lower bound of the minimum: the gap is known.

    Parameters
    ----------
    chunks : callable
        Returns an iterator over (features, labels, weights, groups), as in ``logistic_regression``. Weights must sum to
        1 over all chunks *within each group*; a group whose weights are all 0 has the loss 0.
    n_features, n_classes, n_groups : int
        d, C and G.
    l2 : float or Tensor of shape (d,)
        The penalty is ``0.5 * sum_j l2_j * sum_c weight_cj ** 2``; the bias is free.
    offset : Tensor of shape (G,), optional
        Added to the group losses.
    mean, std : Tensor of shape (d,), optional
        Fit to ``(features - mean) / std`` instead.
    accuracy : float, default 5e-4
        Stop when the gap is below this fraction of the largest loss.
    tolerance : float, default 1e-6
        A round stops when no entry of the gradient exceeds it or, if larger, a hundredth of the gap before.
    max_iter : int, default 1000
        L-BFGS iterations of each round at most.

    Returns
    -------
    Minimax
        In float64, on the CPU. The gap ignores the gradient that is left where L-BFGS stops.

    References
    ----------
    Sagawa et al., ICLR 2020, for the objective. Tseng and Bertsekas, "On the convergence of the exponential multiplier
    method for convex programming", Mathematical Programming 60, 1993.
    """
    problem = LogisticObjective(n_features, n_classes, l2, mean, std)
    added = torch.zeros(n_groups, dtype=torch.float64) if offset is None else offset.double().cpu()

    def group_losses(flat: np.ndarray) -> Tensor:
        head, total = problem.folded(flat), added.clone()
        for features, labels, weights, groups in chunks():
            logits = head.to(features).logits(features)
            losses = cross_entropy(logits, labels, reduction="none") * weights
            total.index_add_(0, groups.cpu(), losses.double().cpu())
        return total

    def objective(flat: np.ndarray, log_weights: Tensor) -> tuple[float, np.ndarray]:
        # The gradient of the smooth maximum weights the groups' gradients by the softmax of these scores.
        scores = log_weights + group_losses(flat) / temperature
        group_weights = scores.softmax(0)
        weighted = ((x, y, w * group_weights.to(w)[g]) for x, y, w, g in chunks())
        _, gradient = problem.loss_and_gradient(flat, weighted)
        return temperature * scores.logsumexp(0).item() + problem.penalty(flat), gradient

    # The weights start at one, not 1 / G: a factor of all q_g adds a constant to the smooth maximum.
    flat, log_weights = problem.flat(None), torch.zeros(n_groups, dtype=torch.float64)
    losses = group_losses(flat)
    # The temperature scales with the loss of the zero head, so that the problem does not depend on units.
    gap, temperature = losses.max().item(), TEMPERATURE * max(losses.max().item(), 1e-12)
    for _ in range(ROUNDS):
        # A round need not be more precise than the gap that is left.
        round_tolerance = max(tolerance, 1e-2 * gap)
        flat = minimize_smooth(objective, flat, log_weights, tolerance=round_tolerance, max_iter=max_iter).x
        losses = group_losses(flat)
        # The multiplier update; in logarithms, as weights of easy groups underflow.
        log_weights = (log_weights + losses / temperature).log_softmax(0)
        # The head is optimal for these weights, so their weighted loss bounds the minimum from below.
        gap = (losses.max() - log_weights.exp() @ losses).item()
        if not gap > accuracy * losses.max().item():  # also ends if the gap is NaN
            break
    return Minimax(problem.head(flat), log_weights.exp(), max(gap, 0.0) if math.isfinite(gap) else math.inf)
