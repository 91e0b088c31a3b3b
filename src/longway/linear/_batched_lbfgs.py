"""L-BFGS on many independent smooth problems at once, each with its own memory and step length."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps parameters (P, D) to the values (P,) and gradients (P, D) of P problems."""

HALVINGS = 12
"""Trial steps of a line search; the last is 2^-11 of the first. Chosen by hand."""


def minimize_batch(
    objective: Objective, start: Tensor, *, tolerance: float = 1e-6, max_iter: int = 500, memory: int = 10
) -> Tensor:
    """Minimise P independent convex problems with shared evaluations.

    Parameters
    ----------
    objective : callable
        Maps parameters (P, D) to values (P,) and gradients (P, D); a row depends on its own problem only.
    start : Tensor of shape (P, D)
    tolerance : float, default 1e-6
        A problem has converged when no entry of its gradient exceeds it.
    max_iter : int, default 500
    memory : int, default 10
        Steps from which the curvature is estimated.

    Returns
    -------
    Tensor of shape (P, D)
        The best parameters found. A problem also ends there if rounding leaves no downhill step before convergence.
    """
    theta = start.clone()
    value, gradient = objective(theta)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    stuck = torch.zeros_like(value, dtype=torch.bool)
    for _ in range(max_iter):
        done = (gradient.abs().amax(1) <= tolerance) | stuck
        if bool(done.all()):
            break
        direction = _direction(gradient, pairs)
        slope = (direction * gradient).sum(1)
        # Rounding can turn the direction uphill; fall back to steepest descent for those problems.
        uphill = slope >= 0
        direction = torch.where(uphill.unsqueeze(1), -gradient, direction)
        slope = torch.where(uphill, -gradient.square().sum(1), slope)
        # The first step has no curvature estimate: bound it by 1 in norm. Later, 1 is the quasi-Newton step.
        length = torch.ones_like(value) if pairs else 1 / gradient.norm(dim=1).clamp_min(1)
        new, new_value, new_gradient, done = _search(objective, theta, value, gradient, direction, slope, length, done)
        stuck = stuck | ~done
        step, change = new - theta, new_gradient - gradient
        curvature = (step * change).sum(1)
        # Pairs with negative or negligible curvature would make the inverse Hessian indefinite.
        useful = curvature > 1e-12 * change.square().sum(1)
        pairs = [*pairs[-memory + 1 :], (step, change, torch.where(useful, 1 / curvature.where(useful, 1.0), 0.0))]
        theta, value, gradient = new, new_value, new_gradient
    return theta


def _direction(gradient: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Return the quasi-Newton direction (P, D); a pair without curvature (inverse 0) is ignored."""
    # The two-loop recursion (Nocedal 1980), with all problems side by side.
    direction = -gradient
    coefficients = []
    for step, change, inverse in reversed(pairs):
        coefficient = inverse * (step * direction).sum(1)
        direction = direction - coefficient.unsqueeze(1) * change
        coefficients.append(coefficient)
    if pairs:
        scale = torch.ones_like(gradient[:, 0])
        # Initial inverse Hessian: step . change / change . change of each problem's latest usable pair.
        for _, change, inverse in pairs:
            usable = inverse > 0
            ratio = change.square().sum(1) * inverse
            scale = torch.where(usable, 1 / ratio.where(usable, 1.0), scale)
        direction = direction * scale.unsqueeze(1)
    for (step, change, inverse), coefficient in zip(pairs, reversed(coefficients), strict=True):
        direction = direction + (coefficient - inverse * (change * direction).sum(1)).unsqueeze(1) * step
    return direction


def _search(
    objective: Objective,
    theta: Tensor,
    value: Tensor,
    gradient: Tensor,
    direction: Tensor,
    slope: Tensor,
    length: Tensor,
    done: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Halve each problem's step until its value decreases enough; ``done`` problems and those without progress stay."""
    best, best_value, best_gradient = theta, value, gradient
    for _ in range(HALVINGS):
        trial = theta + length.unsqueeze(1) * direction
        trial_value, trial_gradient = objective(trial)
        # Armijo's condition. Convexity makes the curvature of a step nonnegative, so no Wolfe condition is needed.
        good = (trial_value <= value + 1e-4 * length * slope) & ~done
        best = torch.where(good.unsqueeze(1), trial, best)
        best_value = torch.where(good, trial_value, best_value)
        best_gradient = torch.where(good.unsqueeze(1), trial_gradient, best_gradient)
        done = done | good
        if bool(done.all()):
            break
        length = torch.where(done, length, length / 2)
    return best, best_value, best_gradient, done
