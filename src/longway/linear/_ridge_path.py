"""Many L2-penalised linear heads on one data set, solved to their optima together or moved by gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from longway.linear._batched_lbfgs import minimize_batch
from longway.linear.head import Heads

WeightedChunks = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor]]]
"""Yields (features (m, d), labels (m,), weights (m, P)) over all the data; repeatable."""


def objective_of_heads(
    chunks: WeightedChunks,
    heads: Heads,
    *,
    l2: Tensor,
    centre: Heads | None = None,
    smoothing: Tensor | None = None,
) -> tuple[Tensor, Heads]:
    r"""Return each problem's objective and gradient, in one pass over the data.

    .. math:: \sum_i w_i \mathrm{CE}(f_\theta(x_i), t_i) + \frac{\rho}{2} \lVert \theta - \theta_0 \rVert^2

    Parameters
    ----------
    chunks : callable
    heads : Heads
        Where to evaluate: P heads.
    l2 : Tensor of shape (P,)
        :math:`\rho` of each problem.
    centre : Heads, optional
        :math:`\theta_0`, weights and biases. Without it weights are drawn to zero and biases are free.
    smoothing : Tensor of shape (P,), optional
        The target is ``1 - smoothing`` on the label and ``smoothing`` spread evenly over all classes; 0 if not given.

    Returns
    -------
    value : Tensor of shape (P,)
    gradient : Heads
    """
    apart = Heads(heads.weight, torch.zeros_like(heads.bias))
    if centre is not None:
        apart = Heads(heads.weight - centre.weight, heads.bias - centre.bias)
    value = 0.5 * l2 * (apart.weight.square().sum((1, 2)) + apart.bias.square().sum(1))
    by_weight, by_bias = l2.reshape(-1, 1, 1) * apart.weight, l2.unsqueeze(1) * apart.bias
    even = torch.zeros_like(l2) if smoothing is None else smoothing.to(l2)
    classes = torch.arange(heads.bias.shape[1], device=l2.device)
    for features, labels, weights in chunks():
        logs = heads.logits(features).log_softmax(2)
        hard = (labels.unsqueeze(1) == classes).to(features).unsqueeze(1)
        # Label smoothing: (1 - delta) on the label plus delta / C everywhere, per problem.
        targets = hard * (1 - even).unsqueeze(1) + (even / len(classes)).unsqueeze(1)
        value = value - ((logs * targets).sum(2) * weights).sum(0)
        residual = (logs.exp() - targets) * weights.unsqueeze(2)
        # One product for all P problems and C classes reads the features once.
        by_weight = by_weight + (residual.flatten(1).T @ features).reshape(by_weight.shape)
        by_bias = by_bias + residual.sum(0)
    return value, Heads(by_weight, by_bias)


def ridge_heads(
    chunks: WeightedChunks,
    start: Heads,
    *,
    l2: Tensor,
    centre: Heads | None = None,
    smoothing: Tensor | None = None,
    tolerance: float = 1e-6,
    max_iter: int = 500,
) -> Heads:
    """Minimise ``objective_of_heads`` for all problems at once.

    Parameters
    ----------
    chunks, l2, centre, smoothing
        See ``objective_of_heads``; the weights of each problem must sum to 1.
    start : Heads
        P heads, whose dtype is that of the computation.
    tolerance : float, default 1e-6
        On every entry of the gradient.
    max_iter : int, default 500

    Returns
    -------
    Heads
        At the optimum of each problem.
    """
    shape = start.weight.shape

    def heads_of(flat: Tensor) -> Heads:
        theta = flat.reshape(*shape[:2], shape[2] + 1)
        return Heads(theta[:, :, :-1], theta[:, :, -1])

    def objective(flat: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = objective_of_heads(chunks, heads_of(flat), l2=l2, centre=centre, smoothing=smoothing)
        return value, _flatten(gradient)

    return heads_of(minimize_batch(objective, _flatten(start), tolerance=tolerance, max_iter=max_iter))


def descend_heads(
    chunks: WeightedChunks,
    start: Heads,
    *,
    l2: Tensor,
    rate: Tensor,
    steps: int,
    clip: float | None = None,
) -> Heads:
    """Take plain gradient steps on ``objective_of_heads`` from the start, with a penalty on the distance to it.

    Parameters
    ----------
    chunks, start, l2
        See ``ridge_heads``.
    rate : Tensor of shape (P,)
        Step sizes.
    steps : int
    clip : float, optional
        Bound on the norm of each problem's gradient.

    Returns
    -------
    Heads
    """
    heads = start
    for _ in range(steps):
        _, gradient = objective_of_heads(chunks, heads, l2=l2, centre=start)
        length = rate
        if clip is not None:
            norm = _flatten(gradient).norm(dim=1)
            # clamp_min leaves gradients below the bound unchanged.
            length = rate * (clip / norm.clamp_min(clip))
        heads = Heads(
            heads.weight - length.reshape(-1, 1, 1) * gradient.weight, heads.bias - length.unsqueeze(1) * gradient.bias
        )
    return heads


def _flatten(heads: Heads) -> Tensor:
    return torch.cat([heads.weight, heads.bias.unsqueeze(2)], 2).flatten(1)
