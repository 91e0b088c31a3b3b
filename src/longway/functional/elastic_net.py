"""Sparse linear heads: multinomial logistic regression with an elastic net, many problems on one data set at once.

Proximal gradient steps with momentum move all problems in one product of matrices and find which weights are zero;
Newton steps on the weights that are not, problem by problem, then reach the optimum. Only features that can matter are
looked at: a working set, grown until the conditions of optimality hold for all features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softplus

from longway.functional.heads import Heads

GRADIENT_STEPS = 25
"""Proximal steps between rounds of Newton's."""
NEWTON_STEPS = 5
"""Newton steps in such a round, at most."""
GROWTH = 100
"""Features that join the working set at a time, at least."""


@dataclass(frozen=True)
class _Problems:
    """P problems on the same n rows; ``X`` ends in a column of ones, K = 1 score for two classes, else K = C."""

    X: Tensor  # (n, a)
    targets: Tensor  # (n, K)
    weights: Tensor  # (n, P), times the strength
    l1: Tensor  # (a,), zero for the bias
    l2: Tensor  # (a,)

    def scores(self, theta: Tensor) -> Tensor:
        """Map parameters (P, K, a) to scores (n, P, K)."""
        return (self.X @ theta.flatten(0, 1).T).reshape(len(self.X), *theta.shape[:2])

    def smooth_gradient(self, theta: Tensor) -> Tensor:
        """Return the gradient (P, K, a) of all but the l1 term."""
        scores = self.scores(theta)
        residual = (_probabilities(scores) - self.targets.unsqueeze(1)) * self.weights.unsqueeze(2)
        return (residual.flatten(1).T @ self.X).reshape(theta.shape) + self.l2 * theta

    def violation(self, theta: Tensor) -> Tensor:
        """Return how far each parameter (P, K, a) is from its condition of optimality."""
        gradient = self.smooth_gradient(theta)
        return torch.where(
            theta == 0, (gradient.abs() - self.l1).clamp_min(0), (gradient + self.l1 * theta.sign()).abs()
        )

    def of(self, problem: int, theta: Tensor, columns_of: Tensor) -> tuple[_Problems, Tensor]:
        """Return one problem on the rows and columns that count in it, and these columns; X is seen column by column.

        ``columns_of`` (a, n) is X transposed, from which columns are read much faster.
        """
        used = (self.weights[:, problem] > 0).nonzero().squeeze(1)
        columns = ((theta[problem] != 0).any(0) | (self.l1 == 0)).nonzero().squeeze(1)
        part = _Problems(
            columns_of[columns].index_select(1, used).T,
            self.targets[used],
            self.weights[used, problem : problem + 1],
            self.l1[columns],
            self.l2[columns],
        )
        return part, columns

    def on(self, features: Tensor) -> _Problems:
        """Return the problems on some of the columns."""
        return replace(self, X=self.X[:, features].contiguous(), l1=self.l1[features], l2=self.l2[features])

    def among(self, problems: Tensor) -> _Problems:
        """Return some of the problems."""
        return replace(self, weights=self.weights[:, problems])

    def curvature(self) -> Tensor:
        """Return a bound (P,) on the largest curvature of the loss, by power iteration."""
        vectors = torch.ones(self.weights.shape[1], self.X.shape[1], dtype=self.X.dtype, device=self.X.device)
        vectors += 0.1 * torch.arange(self.X.shape[1], device=self.X.device).remainder(7)  # in general position
        for _ in range(30):
            vectors = ((self.X @ vectors.T) * self.weights).T @ self.X
            norm = vectors.norm(dim=1, keepdim=True)
            vectors = vectors / norm.clamp_min(1e-30)
        return 1.1 * norm.squeeze(1) * (0.25 if self.targets.shape[1] == 1 else 0.5) + self.l2.max()


def elastic_net(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    *,
    strength: Tensor,
    weights: Tensor | None = None,
    l1_ratio: float = 1.0,
    start: Heads | None = None,
    tolerance: float = 1e-3,
    max_rounds: int = 400,
) -> Heads:
    r"""Minimise ``strength * sum_i weight_i CE_i + l1_ratio * |W|_1 + (1 - l1_ratio) / 2 * |W|^2`` for each problem.

    This is liblinear's convention, where the loss is a sum and ``strength`` is C, except that the bias is free. With
    two classes the penalty is on the difference of the two rows of W, as scikit-learn has it.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Standardised, or of one scale at least. Their dtype is that of the computation.
    labels : Tensor of shape (n,), integer
    n_classes : int
        C.
    strength : Tensor of shape (P,)
        Of each problem.
    weights : Tensor of shape (P, n), optional
        Weights of the rows in each problem, ones if not given; a weight of 0 leaves a row out.
    l1_ratio : float, default 1
        Above 0, as a ridge alone has no zeros to find: ``functional.convex`` is for that.
    start : Heads, optional
        Where to start; zero if not given.
    tolerance : float, default 1e-3
        Stops when no condition of optimality is violated by more than this, where the l1 term has the slope
        ``l1_ratio``.
    max_rounds : int, default 400
        Rounds of steps on a working set, at most.

    Returns
    -------
    Heads
        P heads of C rows, in the dtype of the features.
    """
    problems = _pose(features, labels, n_classes, strength, weights, l1_ratio)
    n_scores, width = problems.targets.shape[1], problems.X.shape[1]
    theta = torch.zeros(len(strength), n_scores, width, dtype=features.dtype, device=features.device)
    if start is not None:
        full = torch.cat([start.weight, start.bias.unsqueeze(2)], 2).to(theta)
        theta = full[:, 1:] - full[:, :1] if n_scores == 1 else full
    theta[:, :, :-1][:, :, problems.X[:, :-1].abs().amax(0) == 0] = 0
    rounds = 0
    while rounds < max_rounds:
        violation = problems.violation(theta)
        open_ = (violation.flatten(1).amax(1) > tolerance).nonzero().squeeze(1)
        if len(open_) == 0:
            break
        chosen = _working_set(theta[open_], violation[open_], tolerance)
        part, rounds = _solve(problems.among(open_).on(chosen), theta[open_][:, :, chosen], tolerance, rounds)
        theta[open_.unsqueeze(1), :, chosen.unsqueeze(0)] = part.transpose(1, 2)
    if n_scores == 1:
        theta = torch.cat([-theta / 2, theta / 2], 1)
    return Heads(theta[:, :, :-1].clone(), theta[:, :, -1].clone())


def _pose(
    features: Tensor, labels: Tensor, n_classes: int, strength: Tensor, weights: Tensor | None, l1_ratio: float
) -> _Problems:
    targets = one_hot(labels, n_classes).to(features)
    counts = torch.ones(len(strength), len(labels)) if weights is None else weights
    penalty = torch.ones(features.shape[1] + 1, dtype=features.dtype, device=features.device)
    penalty[-1] = 0
    return _Problems(
        torch.cat([features, torch.ones_like(features[:, :1])], 1),
        targets[:, 1:] if n_classes == 2 else targets,
        (counts.to(features) * strength.to(features).unsqueeze(1)).T.contiguous(),
        l1_ratio * penalty,
        (1 - l1_ratio) * penalty,
    )


def _working_set(theta: Tensor, violation: Tensor, tolerance: float) -> Tensor:
    """Return the columns to work on: those in use, the bias, and those that violate their conditions most."""
    used = (theta != 0).any(0).any(0)
    used[-1] = True
    worst = violation.amax(0).amax(0)
    worst = worst.where((worst > tolerance) & ~used, 0)
    wanted = min(int((worst > 0).sum()), max(GROWTH, int(used.sum())))
    used[worst.topk(wanted).indices] = True
    return used.nonzero().squeeze(1)


def _solve(problems: _Problems, theta: Tensor, tolerance: float, rounds: int) -> tuple[Tensor, int]:
    """Bring problems on their working set to half the tolerance; return parameters and the rounds done so far."""
    curvature = problems.curvature().reshape(-1, 1, 1)
    columns_of = problems.X.T.contiguous()
    left = torch.arange(len(theta), device=theta.device)
    limit = rounds + 40
    while rounds < limit:
        rounds += 1
        some = problems.among(left)
        moved = _proximal_steps(some, theta[left], curvature[left], GRADIENT_STEPS)
        worst = some.violation(moved).flatten(1).amax(1)
        for i in (worst > tolerance / 2).nonzero().squeeze(1).tolist():
            alone, columns = some.of(i, moved, columns_of)
            moved[i, :, columns] = _newton(alone, moved[i][:, columns], tolerance / 4)
        theta[left] = moved
        worst = some.violation(moved).flatten(1).amax(1)
        left = left[worst > tolerance / 2]
        if len(left) == 0:
            break
    return theta, rounds


def _proximal_steps(problems: _Problems, theta: Tensor, curvature: Tensor, steps: int) -> Tensor:
    """Take proximal gradient steps with momentum, which is dropped where it leads uphill."""
    ahead, momentum = theta, torch.ones_like(curvature)
    for _ in range(steps):
        point = ahead - problems.smooth_gradient(ahead) / curvature
        new = point.sign() * (point.abs() - problems.l1 / curvature).clamp_min(0)
        uphill = ((ahead - new) * (new - theta)).sum((1, 2), keepdim=True) > 0
        momentum = momentum.where(~uphill, 1.0)
        following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
        ahead = new + (new - theta) * ((momentum - 1) / following).where(~uphill, 0.0)
        theta, momentum = new, following
    return theta


def _newton(problem: _Problems, theta: Tensor, tolerance: float) -> Tensor:
    """Take Newton steps (K, a) on the parameters that are not zero, in which none may change its sign."""
    for _ in range(NEWTON_STEPS):
        where = ((theta != 0) | (problem.l1 == 0)).nonzero(as_tuple=True)
        value, (scores_of, columns) = theta[where], where
        probabilities = _probabilities(problem.scores(theta.unsqueeze(0))).squeeze(1)
        residual = problem.weights * (probabilities - problem.targets)
        taken = problem.X.T[columns]
        gradient = (taken * residual.T[scores_of]).sum(1)
        gradient += problem.l1[columns] * value.sign() + problem.l2[columns] * value
        if float(gradient.abs().max()) <= tolerance:
            break
        hessian = _hessian(taken, probabilities, problem.weights, scores_of).double()
        hessian.diagonal().add_(problem.l2[columns] + 1e-7 * hessian.diagonal().mean() + 1e-12)
        factor, failed = torch.linalg.cholesky_ex(hessian)
        if failed:
            break
        step = -torch.cholesky_solve(gradient.double().unsqueeze(1), factor).squeeze(1).to(theta)
        new = _search(problem, theta, where, step, float(gradient @ step))
        if new is None:
            break
        theta = new
    return theta


def _hessian(taken: Tensor, probabilities: Tensor, weights: Tensor, scores_of: Tensor) -> Tensor:
    """Return the loss's curvature (s, s) in s parameters, of features ``taken`` (s, n), each of some class's score."""
    if probabilities.shape[1] == 1:
        return (taken * (weights * probabilities * (1 - probabilities)).T) @ taken.T
    product = taken * probabilities.T[scores_of]
    weighted = product * weights.T
    own = (weighted @ taken.T) * (scores_of.unsqueeze(1) == scores_of)
    return own - weighted @ product.T


def _search(problem: _Problems, theta: Tensor, where: tuple[Tensor, ...], step: Tensor, slope: float) -> Tensor | None:
    """Return the parameters after the longest step that lowers the objective; None if there is none."""
    before = _objective(problem, theta)
    bound, signs = problem.l1[where[1]] > 0, theta[where].sign()
    for length in (1.0, 0.5, 0.25, 0.1, 0.02):
        value = theta[where] + length * step
        new = theta.clone()
        new[where] = value.where(~bound | (value.sign() == signs), 0.0)
        after = _objective(problem, new)
        if after <= before + 1e-4 * length * slope and math.isfinite(after):
            return new
    return None


def _objective(problem: _Problems, theta: Tensor) -> float:
    scores = problem.scores(theta.unsqueeze(0)).squeeze(1)
    total = softplus(scores).squeeze(1) if scores.shape[1] == 1 else scores.logsumexp(1)
    loss = (total - (problem.targets * scores).sum(1)).double() @ problem.weights.squeeze(1).double()
    return float(loss + (problem.l1 * theta.abs() + 0.5 * problem.l2 * theta.square()).double().sum())


def _probabilities(scores: Tensor) -> Tensor:
    return scores.sigmoid() if scores.shape[-1] == 1 else scores.softmax(-1)
