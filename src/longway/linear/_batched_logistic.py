"""Many L2-penalised linear heads on one data set, solved to their optima together or moved by gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from longway.linear._batched_lbfgs import minimize_batch
from longway.linear.head import HeadStack
from longway.utils.optimizers import make_optimizer

WeightedChunks = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor]]]
"""Yields (features (m, d), labels (m,), weights (m, P)) over all the data; repeatable."""


def heads_objective(
    chunks: WeightedChunks,
    heads: HeadStack,
    *,
    l2: Tensor,
    centre: HeadStack | None = None,
    smoothing: Tensor | None = None,
) -> tuple[Tensor, HeadStack]:
    r"""Return each problem's objective and gradient, in one pass over the data.

    .. math:: \sum_i w_i \mathrm{CE}(f_\theta(x_i), t_i) + \frac{\rho}{2} \lVert \theta - \theta_0 \rVert^2

    Parameters
    ----------
    chunks : callable
    heads : HeadStack
        The P heads to evaluate.
    l2 : Tensor of shape (P,)
        :math:`\rho` of each problem.
    centre : HeadStack, optional
        :math:`\theta_0`, weights and biases. Without it weights are shrunk to zero and biases are free.
    smoothing : Tensor of shape (P,), optional
        The target is ``1 - smoothing`` on the label plus ``smoothing / C`` on every class; 0 if not given.

    Returns
    -------
    value : Tensor of shape (P,)
    gradient : HeadStack
    """
    apart = HeadStack(heads.weight, torch.zeros_like(heads.bias))
    if centre is not None:
        apart = HeadStack(heads.weight - centre.weight, heads.bias - centre.bias)
    value = 0.5 * l2 * (apart.weight.square().sum((1, 2)) + apart.bias.square().sum(1))
    by_weight, by_bias = l2.reshape(-1, 1, 1) * apart.weight, l2.unsqueeze(1) * apart.bias
    delta = torch.zeros_like(l2) if smoothing is None else smoothing.to(l2)
    classes = torch.arange(heads.bias.shape[1], device=l2.device)
    for features, labels, weights in chunks():
        log_p = heads.logits(features).log_softmax(2)
        hard = (labels.unsqueeze(1) == classes).to(features).unsqueeze(1)
        targets = hard * (1 - delta).unsqueeze(1) + (delta / len(classes)).unsqueeze(1)
        value = value - ((log_p * targets).sum(2) * weights).sum(0)
        # The gradient of the cross-entropy by the logits is p - t, also for smoothed targets, which sum to 1.
        residual = (log_p.exp() - targets) * weights.unsqueeze(2)
        # One product for all P problems and C classes reads the features once.
        by_weight = by_weight + (residual.flatten(1).T @ features).reshape(by_weight.shape)
        by_bias = by_bias + residual.sum(0)
    return value, HeadStack(by_weight, by_bias)


def solve_heads(
    chunks: WeightedChunks,
    start: HeadStack,
    *,
    l2: Tensor,
    centre: HeadStack | None = None,
    smoothing: Tensor | None = None,
    tolerance: float = 1e-6,
    max_iter: int = 500,
) -> HeadStack:
    """Minimise ``heads_objective`` for all problems at once.

    Parameters
    ----------
    chunks, l2, centre, smoothing
        See ``heads_objective``; the weights of each problem must sum to 1.
    start : HeadStack
        P heads, whose dtype is that of the computation.
    tolerance : float, default 1e-6
        Bound on every entry of the gradient at the solution.
    max_iter : int, default 500

    Returns
    -------
    HeadStack
        The optimum of each problem.
    """
    shape = start.joined().shape

    def heads_of(flat: Tensor) -> HeadStack:
        theta = flat.reshape(shape)
        return HeadStack(theta[:, :, :-1], theta[:, :, -1])

    def objective(flat: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = heads_objective(chunks, heads_of(flat), l2=l2, centre=centre, smoothing=smoothing)
        return value, gradient.joined().flatten(1)

    return heads_of(minimize_batch(objective, start.joined().flatten(1), tolerance=tolerance, max_iter=max_iter))


def descend_heads(
    chunks: WeightedChunks,
    start: HeadStack,
    *,
    l2: Tensor,
    rate: Tensor,
    steps: int,
    clip: float | None = None,
    optimizer: str = "sgd",
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> HeadStack:
    """Take gradient steps on ``heads_objective`` from the start, with a penalty on the distance to it.

    Parameters
    ----------
    chunks, start, l2
        See ``solve_heads``.
    rate : Tensor of shape (P,)
        Step sizes.
    steps : int
    clip : float, optional
        Bound on the norm of each problem's gradient.
    optimizer : {"sgd", "adamw"}, default "sgd"
        See `longway.utils.optimizers.make_optimizer`.
    momentum, weight_decay : float, default 0
        Of the optimiser; the decay applies to biases, too.

    Returns
    -------
    HeadStack
    """
    if optimizer != "sgd" or momentum or weight_decay:
        assert clip is None, "no published algorithm clips and has momentum"
        return _optimised(chunks, start, l2, rate, steps, (optimizer, momentum, weight_decay))
    heads = start
    for _ in range(steps):
        _, gradient = heads_objective(chunks, heads, l2=l2, centre=start)
        length = rate
        if clip is not None:
            # A gradient of norm below the bound keeps its length, as the factor is then clip / clip.
            length = rate * (clip / gradient.joined().flatten(1).norm(dim=1).clamp_min(clip))
        heads = HeadStack(
            heads.weight - length.reshape(-1, 1, 1) * gradient.weight, heads.bias - length.unsqueeze(1) * gradient.bias
        )
    return heads


def _optimised(
    chunks: WeightedChunks, start: HeadStack, l2: Tensor, rate: Tensor, steps: int, how: tuple[str, float, float]
) -> HeadStack:
    """Take the steps of an optimiser, given by name, momentum and weight decay, each problem at its own rate."""
    parts = [
        [start.weight[p].clone().requires_grad_(), start.bias[p].clone().requires_grad_()] for p in range(len(rate))
    ]
    name, momentum, weight_decay = how
    optimizer = make_optimizer(
        name,
        [{"params": own, "lr": float(length)} for own, length in zip(parts, rate, strict=True)],
        learning_rate=1.0,
        weight_decay=weight_decay,
        momentum=momentum,
    )

    def heads() -> HeadStack:
        return HeadStack(*(torch.stack([own[i].detach() for own in parts]) for i in range(2)))

    for _ in range(steps):
        _, gradient = heads_objective(chunks, heads(), l2=l2, centre=start)
        for p, (weight, bias) in enumerate(parts):
            weight.grad, bias.grad = gradient.weight[p], gradient.bias[p]
        optimizer.step()
    return heads()
