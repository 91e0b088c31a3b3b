"""Linear heads that minimise the largest group loss, a convex problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longway.linear._hypergradient import Head
from longway.linear._logistic import Scaled
from longway.linear._minimize import minimize_smooth

GroupedChunks = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]]
"""Yields (features (m, d), labels (m,), weights (m,), groups (m,)) over all the data; repeatable."""

TEMPERATURE = 0.03
"""Temperatures of the smooth maximum, relative to the largest loss of the empty head; smaller ones make the problem
stiff."""
ROUNDS = 50
"""Outer rounds, at most; the group weights move once in each, and ten rounds are typical."""


class Minimax(NamedTuple):
    """A head, the adversary's weights of the groups (G,), and a bound on its distance from the minimum."""

    head: Head
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

    The exponential method of multipliers: the largest loss is replaced by
    :math:`\tau \log \sum_g q_g \exp(L_g / \tau)`, which is smooth, and minimised by L-BFGS; then the weights become
    :math:`q_g \exp(L_g / \tau)`, normalised, and so on from the solution before. The weights converge to those of the
    adversary at one moderate :math:`\tau`, so that no round is stiff. The head of a round is the best one for its new
    weights q, so that :math:`\sum_g q_g L_g` plus the ridge is below the minimum that is sought: the gap is known.

    Parameters
    ----------
    chunks : callable
        Gives the data as an iterator of (features, labels, weights, groups), as ``logistic_regression`` has it. Weights
        must sum to 1 over all chunks *within each group*; a group whose weights are all 0 has the loss 0.
    n_features, n_classes, n_groups : int
        d, C and G.
    l2 : float or Tensor of shape (d,)
        The penalty is ``0.5 * sum_j l2_j * sum_c weight_cj ** 2``; the bias is free.
    offset : Tensor of shape (G,), optional
        Added to the group losses.
    mean, std : Tensor of shape (d,), optional
        Fit to ``(features - mean) / std`` instead.
    accuracy : float, default 5e-4
        Stops when the gap is below this share of the largest loss.
    tolerance : float, default 1e-6
        A round stops when no entry of the gradient exceeds it, or exceeds a hundredth of the gap of the round before.
    max_iter : int, default 1000
        L-BFGS iterations of each round at most.

    Returns
    -------
    Minimax
        In float64, on the CPU; the gap leaves out what is left of the gradient where L-BFGS stops.

    References
    ----------
    Sagawa et al., ICLR 2020, for the objective. Tseng and Bertsekas, "On the convergence of the exponential multiplier
    method for convex programming", Mathematical Programming 60, 1993.
    """
    scaled = Scaled(n_features, n_classes, l2, mean, std)
    added = torch.zeros(n_groups, dtype=torch.float64) if offset is None else offset.double().cpu()

    def group_losses(flat: np.ndarray) -> Tensor:
        head, total = scaled.folded(flat), added.clone()
        for features, labels, weights, groups in chunks():
            logits = Head(head.weight.to(features), head.bias.to(features)).logits(features)
            losses = cross_entropy(logits, labels, reduction="none") * weights
            total.index_add_(0, groups.cpu(), losses.double().cpu())
        return total

    def objective(flat: np.ndarray, log_weights: Tensor) -> tuple[float, np.ndarray]:
        # The smooth maximum tau log sum_g q_g exp(L_g / tau). Its gradient weights each group by the softmax.
        scores = log_weights + group_losses(flat) / temperature
        share = scores.softmax(0)
        weighted = ((x, y, w * share.to(w)[g]) for x, y, w, g in chunks())
        _, gradient = scaled.loss_and_gradient(flat, weighted)
        return temperature * scores.logsumexp(0).item() + scaled.penalty(flat), gradient

    flat, log_weights = np.zeros(n_classes * (n_features + 1)), torch.zeros(n_groups, dtype=torch.float64)
    losses = group_losses(flat)
    # The temperature scales with the loss of the zero head, so that the problem does not depend on units.
    gap, temperature = losses.max().item(), TEMPERATURE * max(losses.max().item(), 1e-12)
    for _ in range(ROUNDS):
        # A round need not be more precise than the gap that is left.
        enough = max(tolerance, 1e-2 * gap)
        flat = minimize_smooth(objective, flat, log_weights, tolerance=enough, max_iter=max_iter).x
        losses = group_losses(flat)
        # The multiplier update; in logarithms, as weights of easy groups underflow.
        log_weights = (log_weights + losses / temperature).log_softmax(0)
        # The head is optimal for these weights, so their weighted loss bounds the minimum from below.
        gap = (losses.max() - log_weights.exp() @ losses).item()
        if not gap > accuracy * losses.max().item():
            break
    return Minimax(scaled.head(flat), log_weights.exp(), max(gap, 0.0) if math.isfinite(gap) else math.inf)
