"""Sparse linear heads: multinomial logistic regression with an elastic net, for many problems on one data set.

One matrix product finds for all problems the features that violate their optimality condition. For each problem, a
working set of the nonzero parameters and the worst violators then takes proximal Newton steps: the loss is replaced by
its second-order model, and scikit-learn's coordinate descent minimises that plus the penalty, using the model's Gram
matrix. The working sets grow until no feature violates its condition.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import expit, logsumexp, softmax
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path
from torch import Tensor
from torch.nn.functional import one_hot

from longway.linear.head import HeadStack

# Growth by a half, FORCING, MODEL_TOLERANCE and COMMON are from docs/experiments/0006-dfr-solver.md; the others are
# chosen by hand.
NEWTON_STEPS = 10
"""Newton steps on a working set, at most, before all features are checked again."""
MIN_GROWTH = 30
"""Parameters that join a working set at a time, at least; otherwise half of its size."""
FORCING = 0.5
"""Violation, relative to the worst one, to which a working set is solved before it grows."""
MODEL_TOLERANCE = 0.3
"""Duality gap at which coordinate descent on the quadratic model stops, relative to the decrease that the worst
violation predicts."""
COMMON = 20.0
"""Tolerance of the common starting solution, as a multiple of the tolerance of the problems."""
UNUSED = np.random.RandomState(0)
"""Never drawn from, as coordinates are cycled; without it scikit-learn would use NumPy's global state."""
LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.02)
"""Fractions of a Newton step that the line search tries."""


@dataclass(frozen=True)
class _Problems:
    """P problems on the same n samples.

    The last of the a = d + 1 columns holds ones, for the bias. K scores: one for two classes, else K = C.
    """

    columns: Tensor  # (a, n)
    targets: Tensor  # (K, n)
    weights: Tensor  # (P, n), times the problem's strength
    l1: Tensor  # (a,), zero for the bias
    l2: Tensor  # (a,)

    def violation(self, theta: np.ndarray, problems: np.ndarray) -> np.ndarray:
        """Return the violation of the optimality condition of each parameter of some problems, of shape (p, K, a)."""
        # Scores need only the columns that some problem uses, few of all: the product with them is the cheap one.
        used = torch.from_numpy(np.flatnonzero(theta.any((0, 1)))).to(self.columns.device)
        some = torch.from_numpy(theta[problems]).to(self.columns)
        scores = (some[:, :, used].flatten(0, 1) @ self.columns[used]).reshape(*some.shape[:2], -1)
        p = scores.sigmoid() if some.shape[1] == 1 else scores.softmax(1)
        residual = (p - self.targets) * self.weights[torch.from_numpy(problems)].unsqueeze(1)
        gradient = (residual.flatten(0, 1) @ self.columns.T).reshape(some.shape) + self.l2 * some
        return _violation(theta[problems], gradient.cpu().numpy(), self.l1.cpu().numpy())


@dataclass(frozen=True)
class _Part:
    """One problem on the s parameters of its working set and its n weighted samples; the K biases come last."""

    taken: np.ndarray  # (s, n), the column of each parameter
    scores_of: np.ndarray  # (s,), the score that each parameter adds to
    targets: np.ndarray  # (K, n)
    weights: np.ndarray  # (n,)
    l1: np.ndarray  # (s,)
    l2: np.ndarray  # (s,)

    def scores(self, value: np.ndarray) -> np.ndarray:
        """Map parameters (s,) to scores (K, n)."""
        by_score = np.zeros((len(self.targets), len(value)), self.taken.dtype)
        by_score[self.scores_of, np.arange(len(value))] = value
        return np.asarray(by_score @ self.taken)

    def losses(self, scores: np.ndarray) -> np.ndarray:
        """Return the cross-entropy of each sample (n,)."""
        # Double precision: near the optimum a step lowers the loss by less than float32 resolves.
        exact = scores.astype(np.float64)
        total = np.logaddexp(0, exact[0]) if len(exact) == 1 else logsumexp(exact, axis=0)
        return np.asarray(total - (self.targets * exact).sum(0))

    def objective(self, losses: np.ndarray, value: np.ndarray) -> float:
        return float(losses @ self.weights + (self.l1 * np.abs(value) + 0.5 * self.l2 * value * value).sum())

    def gradient(self, p: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Return the gradient (s,) of all but the l1 term."""
        by_score = self.taken @ ((p - self.targets) * self.weights).T
        return np.asarray(by_score[np.arange(len(value)), self.scores_of] + self.l2 * value)

    def hessian(self, p: np.ndarray) -> np.ndarray:
        """Return the curvature (s, s) of all but the l1 term, plus a small multiple of the trace, as float64."""
        if len(p) == 1:
            root = self.taken * np.sqrt(self.weights * p[0] * (1 - p[0]))
            matrix = root @ root.T
        else:
            # The softmax's Hessian is diag(p) - p p^T: the first term couples only parameters of one score.
            product = self.taken * p[self.scores_of]
            weighted = product * self.weights
            matrix = (weighted @ self.taken.T) * (self.scores_of[:, None] == self.scores_of) - weighted @ product.T
        matrix = matrix.astype(np.float64)
        diagonal = np.einsum("ii->i", matrix)
        # The trace term keeps the model strictly convex if features in the working set are collinear.
        diagonal += self.l2 + 1e-7 * diagonal.mean() + 1e-12
        return np.asarray(matrix)


def elastic_net(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    *,
    strength: Tensor,
    weights: Tensor | None = None,
    l1_ratio: float = 1.0,
    start: HeadStack | None = None,
    common: bool = False,
    tolerance: float = 1e-3,
    max_rounds: int = 100,
) -> HeadStack:
    r"""Minimise ``strength * sum_i weight_i CE_i + l1_ratio * |W|_1 + (1 - l1_ratio) / 2 * |W|^2`` for each problem.

    This is liblinear's convention, where the loss is a sum and ``strength`` is C, except that the bias is free. With
    two classes the penalty is on the difference of the two rows of W, as in scikit-learn.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Standardised, or at least of one scale. Their dtype is that of the computation.
    labels : Tensor of shape (n,), integer
    n_classes : int
        C.
    strength : Tensor of shape (P,)
        C of each problem.
    weights : Tensor of shape (P, n), optional
        Weights of the samples in each problem, ones if not given; a weight of 0 leaves a sample out.
    l1_ratio : float, default 1
        Above 0: an L2 penalty alone gives no zeros, and ``logistic_regression`` solves it faster.
    start : HeadStack, optional
        Initial heads; zero if not given.
    common : bool, default False
        First solve the problem with the mean of all weights, from the first start; all start from its solution.
    tolerance : float, default 1e-3
        Stop when no optimality condition is violated by more than this (the l1 term has the slope ``l1_ratio``), or
        when no step lowers the objective in the features' precision.
    max_rounds : int, default 100
        Checks of all features, at most.

    Returns
    -------
    HeadStack
        P heads of C rows, in the dtype of the features.
    """
    problems = _problems_on(features, labels, n_classes, strength, weights, l1_ratio)
    theta = _initial(problems, start)
    if common:
        # The problems are draws from the same data, so the mean problem's solution is near all of theirs.
        averaged = replace(problems, weights=problems.weights.mean(0, keepdim=True))
        theta[:] = _descend(averaged, theta[:1], COMMON * tolerance, max_rounds)
    return _heads(problems, _descend(problems, theta, tolerance, max_rounds))


def elastic_net_path(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    *,
    Cs: Sequence[float],
    tolerances: Sequence[float],
    weights: Tensor | None = None,
    l1_ratio: float = 1.0,
    max_rounds: int = 100,
) -> HeadStack:
    """Solve ``elastic_net`` for a sequence of strengths, each from the previous solution.

    Parameters
    ----------
    Cs, tolerances : sequence of L floats
        C and tolerance of each problem; the smallest C first is the fastest.
    weights : Tensor of shape (n,), optional
        Weights of the samples, ones if not given.
    features, labels, n_classes, l1_ratio, max_rounds
        See ``elastic_net``.

    Returns
    -------
    HeadStack
        L heads of C rows, in the dtype of the features.
    """
    counts = None if weights is None else weights.unsqueeze(0)
    problem = _problems_on(features, labels, n_classes, torch.ones(1), counts, l1_ratio)
    theta, found = _initial(problem, None), []
    for strength, tolerance in zip(Cs, tolerances, strict=True):
        theta = _descend(replace(problem, weights=strength * problem.weights), theta, tolerance, max_rounds)
        found.append(theta.copy())
    return _heads(problem, np.concatenate(found))


def _descend(problems: _Problems, theta: np.ndarray, tolerance: float, max_rounds: int) -> np.ndarray:
    """Optimise the parameters (P, K, a) of each problem in place."""
    columns, left = problems.columns.cpu().numpy(), np.arange(len(theta))
    with config_context(skip_parameter_validation=True), warnings.catch_warnings():
        # An inexact minimum of the model still gives a descent direction.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(max_rounds):
            violation = problems.violation(theta, left)
            worst = violation.max((1, 2))
            left, violation, worst = (part[worst > tolerance] for part in (left, violation, worst))
            moved = np.zeros(len(left), bool)
            for k, i in enumerate(left):
                where = _working_set(theta[i], violation[k], tolerance)
                # An early working set is not worth a precise solution: the next one changes it (inexact Newton).
                goal = max(tolerance / 2, FORCING * float(worst[k]))
                theta[i][where], moved[k] = _newton(_part(problems, columns, i, where), theta[i][where], goal)
            left = left[moved]
            if len(left) == 0:
                break
    return theta


def _heads(problems: _Problems, theta: np.ndarray) -> HeadStack:
    """Return parameters (P, K, a) as heads with one score per class."""
    found = torch.from_numpy(theta).to(problems.columns)
    if found.shape[1] == 1:
        # Only the difference of two scores matters; the symmetric split has the smallest norm.
        found = torch.cat([-found / 2, found / 2], 1)
    return HeadStack(found[:, :, :-1].clone(), found[:, :, -1].clone())


def _problems_on(
    features: Tensor, labels: Tensor, n_classes: int, strength: Tensor, weights: Tensor | None, l1_ratio: float
) -> _Problems:
    targets = one_hot(labels, n_classes).to(features)
    counts = torch.ones(len(strength), len(labels)) if weights is None else weights
    penalty = torch.ones(features.shape[1] + 1, dtype=features.dtype, device=features.device)
    penalty[-1] = 0
    return _Problems(
        torch.cat([features, torch.ones_like(features[:, :1])], 1).T.contiguous(),
        (targets[:, 1:] if n_classes == 2 else targets).T.contiguous(),
        counts.to(features) * strength.to(features).unsqueeze(1),
        l1_ratio * penalty,
        (1 - l1_ratio) * penalty,
    )


def _initial(problems: _Problems, start: HeadStack | None) -> np.ndarray:
    """Return the initial parameters (P, K, a); weights of features that are always zero stay zero."""
    shape = len(problems.weights), len(problems.targets), len(problems.columns)
    if start is None:
        return torch.zeros(shape, dtype=problems.columns.dtype).numpy()
    full = start.joined().to(problems.columns)
    theta = full[:, 1:] - full[:, :1] if shape[1] == 1 else full
    return (theta * problems.columns.any(1)).cpu().numpy()


def _working_set(theta: np.ndarray, violation: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and columns of the working set: the nonzero parameters, the worst violators, and the biases."""
    used = theta != 0
    used[:, -1] = False
    violators = (violation > tolerance) & ~used
    violators[:, -1] = False
    candidates = np.flatnonzero(violators)
    # Growth in proportion to the working set bounds the number of rounds by a logarithm.
    worst_first = np.argsort(-violation.flat[candidates], kind="stable")
    used.flat[candidates[worst_first[: max(MIN_GROWTH, np.count_nonzero(used) // 2)]]] = True
    scores, columns = used.nonzero()
    biases = np.arange(len(theta))
    return np.append(scores, biases), np.append(columns, np.full(len(biases), theta.shape[1] - 1))


def _part(problems: _Problems, columns: np.ndarray, problem: int, where: tuple[np.ndarray, np.ndarray]) -> _Part:
    weights = problems.weights[problem].cpu().numpy()
    rows = np.flatnonzero(weights)
    return _Part(
        columns[where[1]].take(rows, 1),
        where[0],
        problems.targets.cpu().numpy().take(rows, 1),
        weights[rows],
        problems.l1.cpu().numpy()[where[1]],
        problems.l2.cpu().numpy()[where[1]],
    )


def _newton(part: _Part, value: np.ndarray, tolerance: float) -> tuple[np.ndarray, bool]:
    """Take proximal Newton steps until no violation (s,) exceeds the bound; return whether the objective fell."""
    scores, moved = part.scores(value), False
    losses = part.losses(scores)
    for _ in range(NEWTON_STEPS):
        p = expit(scores) if len(scores) == 1 else softmax(scores, axis=0)
        gradient = part.gradient(p, value)
        worst = float(_violation(value, gradient, part.l1).max())
        if worst <= tolerance:
            break
        step = _model_minimum(part, part.hessian(p), gradient, value, losses, worst) - value
        direction = part.scores(step)
        before = part.objective(losses, value)
        # Directional derivative of the objective, with the l1 term by its change over the full step (Lee et al. 2014).
        slope = float(gradient @ step + part.l1 @ (np.abs(value + step) - np.abs(value)))
        for length in LENGTHS:
            new = value + np.asarray(length * step, value.dtype)
            new_scores = scores + np.asarray(length, value.dtype) * direction
            new_losses = part.losses(new_scores)
            # Armijo's condition. Scores are linear in the step, so no length needs a product with the features.
            if part.objective(new_losses, new) <= before + 1e-4 * length * slope:
                break
        else:
            break
        value, scores, losses, moved = new, new_scores, new_losses, True
    return value, moved


def _model_minimum(
    part: _Part, hessian: np.ndarray, gradient: np.ndarray, value: np.ndarray, losses: np.ndarray, worst: float
) -> np.ndarray:
    """Minimise the second-order model of the loss plus the penalty; the unpenalised biases are eliminated first.

    The model is a lasso whose response has at most the squared norm computed here: a sample's squared residual in the
    metric of the inverse curvature is 1 / p - 1 = exp(loss) - 1, with p the probability of its label.
    """
    # Completing the square: the model is w H w / 2 - linear w, the form of a lasso with Gram matrix H.
    linear = hessian @ value - gradient
    norm = float(value @ (hessian @ value - 2 * gradient) + part.weights @ np.expm1(losses) + part.l2 @ value**2)
    k = len(part.targets)
    cross = hessian[-k:, :-k]
    # Schur complement with respect to the biases.
    solved = np.linalg.solve(hessian[-k:, -k:], np.column_stack([cross, linear[-k:]]))
    gram = cross.T @ solved[:, :-1]
    np.subtract(hessian[:-k, :-k], gram, out=gram)
    products = linear[:-k] - cross.T @ solved[:, -1]
    # A violation v on a coordinate with curvature h can lower the objective by v^2 / (2 h).
    gap = MODEL_TOLERANCE * worst**2 / np.einsum("ii->i", hessian).mean()
    weights = _lasso(gram, products, float(part.l1[0]), value[:-k], norm, gap)
    return np.append(weights, solved[:, -1] - solved[:, :-1] @ weights)


def _lasso(
    gram: np.ndarray, products: np.ndarray, penalty: float, start: np.ndarray, norm: float, gap: float
) -> np.ndarray:
    """Minimise ``w @ gram @ w / 2 - products @ w + penalty * |w|_1`` by coordinate descent, to a duality gap."""
    if len(gram) == 0:
        return start
    response = np.zeros(len(gram))
    response[0] = math.sqrt(norm)  # with a Gram matrix, scikit-learn reads only the response's norm
    # scikit-learn divides the quadratic by the length of the response, hence the penalty's divisor.
    found = enet_path(
        gram.T,
        response,
        l1_ratio=1.0,
        alphas=np.array([penalty / len(gram)]),
        precompute=gram,
        Xy=products,
        coef_init=start.astype(np.float64),
        check_input=False,
        tol=gap / norm,
        random_state=UNUSED,
    )
    return np.asarray(found[1][:, 0])


def _violation(theta: np.ndarray, gradient: np.ndarray, l1: np.ndarray) -> np.ndarray:
    """Return the violations of the optimality conditions, given the gradient of all but the l1 term."""
    # At zero, any slope within [-l1, l1] is optimal; elsewhere the slopes must cancel.
    at_zero = np.maximum(np.abs(gradient) - l1, 0)
    return np.asarray(np.where(theta == 0, at_zero, np.abs(gradient + l1 * np.sign(theta))))
