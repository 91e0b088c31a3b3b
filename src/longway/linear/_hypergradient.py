"""HSFM's inner problem, gradient descent on a linear head, and the exact gradient through it.

Softmax depends on differences of logits only, and a sample's residuals sum to zero. So all recursions run on the
contrasts with the last class, c = C - 1 columns instead of C: with two classes that is half the work.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import expit, softmax
from torch import Tensor
from torch.nn.functional import one_hot, pad

from longway.linear.head import LinearHead


class Hypergradient(NamedTuple):
    """The outer loss, and its gradient with respect to the support (m, d)."""

    loss: Tensor
    support: Tensor


def adapt(
    support: Tensor, labels: Tensor, head: LinearHead, *, steps: int, rate: float, form: str = "auto"
) -> LinearHead:
    """Take plain gradient steps on the mean cross-entropy over the support.

    Parameters
    ----------
    support : Tensor of shape (m, d)
        Support features H.
    labels : Tensor of shape (m,), integer
    head : LinearHead
        Initial head, theta.
    steps : int
        Number of steps, the paper's T.
    rate : float
        Step size, the paper's alpha.
    form : {"auto", "kernel", "direct"}, default "auto"
        See ``OuterLoss``.

    Returns
    -------
    LinearHead
        theta_T.
    """
    targets = _targets(labels, len(head.bias)).to(support)
    return _restored(head, _descent(support, targets, _contrasts(head), steps, rate, form).contrasts)


class OuterLoss:
    """The loss of the adapted head on hard samples as a function of the support.

    Its gradient is exact: the unrolled descent is differentiated backwards by hand, without an autograd graph of T
    steps. Work that all edits of a support share is done once.

    Parameters
    ----------
    labels : Tensor of shape (m,), integer
        Fixed labels of the support.
    hard : Tensor of shape (k, d)
        Features of the hard set.
    hard_labels : Tensor of shape (k,), integer
    head : LinearHead
        Initial head of the inner descent, theta.
    steps : int
        Inner steps, the paper's T.
    hard_weights : Tensor of shape (k,), optional
        Weights of the hard samples in the outer loss, summing to 1; 1 / k each if not given.
    form : {"auto", "kernel", "direct"}, default "auto"
        ``direct`` descends in the weights, with T passes over the (m, d) support each way. ``kernel`` descends in the
        coefficients of the support samples: a step costs m * m, and only the first and last touch features. ``auto``
        takes the cheaper one. All are exact.

    References
    ----------
    arXiv 2603.29313 (HSFM), inner and outer problem; the backward recursions are derived from them.
    """

    def __init__(
        self,
        labels: Tensor,
        hard: Tensor,
        hard_labels: Tensor,
        head: LinearHead,
        *,
        steps: int,
        hard_weights: Tensor | None = None,
        form: str = "auto",
    ) -> None:
        self.hard, self.hard_labels, self.steps, self.form = hard, hard_labels.unsqueeze(1), steps, form
        self.start = _contrasts(head)
        self.targets, self.hard_targets = (_targets(y, len(head.bias)).to(hard) for y in (labels, hard_labels))
        self.weights = torch.full_like(hard[:, 0], 1 / len(hard)) if hard_weights is None else hard_weights.to(hard)

    def gradient(self, support: Tensor, rate: float) -> Hypergradient:
        """Return the loss and its gradient at a support (m, d), for an inner descent with this step size (alpha)."""
        descent = _descent(support, self.targets, self.start, self.steps, rate, self.form)
        logits = pad(descent.contrasts.logits(self.hard), (0, 1))
        log_p = logits.log_softmax(1)
        residual = (log_p[:, :-1].exp() - self.hard_targets) * self.weights.unsqueeze(1)
        gradient = descent.backward(LinearHead(residual.T @ self.hard, residual.sum(0)))
        return Hypergradient(-(log_p.gather(1, self.hard_labels).squeeze(1) @ self.weights), gradient)


def inner_curvature(support: Tensor, iterations: int = 30) -> float:
    """Bound the curvature of the inner loss over heads: half the top eigenvalue of the support's second moment.

    Gradient descent on a head converges with any step below 2 / curvature, whatever the features' scale.

    Parameters
    ----------
    support : Tensor of shape (m, d)
    iterations : int, default 30
        Iterations of the power method, which approaches the eigenvalue from below.

    Returns
    -------
    float
    """
    # The Gram matrix and the second moment have the same top eigenvalue; iterate with the smaller one.
    few = len(support) < support.shape[1]
    inputs = torch.cat([support, torch.ones_like(support[:, :1])], 1)
    matrix = inputs @ inputs.T if few else inputs
    vector = inputs.norm(dim=1) if few else inputs.sum(0)
    for _ in range(iterations):
        vector = vector / vector.norm().clamp_min(torch.finfo(vector.dtype).tiny)
        vector = matrix @ vector if few else matrix.T @ (matrix @ vector)
    # The Hessian of the softmax is at most 1/2 of the identity.
    return 0.5 * float(vector.norm()) / len(support)


class _Direct:
    """Gradient descent on the contrasts' weights (c, d), storing what the backward pass needs."""

    def __init__(self, support: Tensor, targets: Tensor, start: LinearHead, steps: int, rate: float) -> None:
        self.support, self.rate = support, rate
        self.probabilities: list[Tensor] = []
        self.residuals: list[Tensor] = []
        self.weights: list[Tensor] = []
        weight, bias = start
        for _ in range(steps):
            p = _probabilities(torch.addmm(bias, support, weight.T))
            residual = _mixed((p - targets) / len(support))
            self.probabilities.append(p)
            self.residuals.append(residual)
            self.weights.append(weight)
            weight = weight - rate * (residual.T @ support)
            bias = bias - rate * residual.sum(0)
        self.contrasts = LinearHead(weight, bias)

    def backward(self, adjoint: LinearHead) -> Tensor:
        """Return the gradient (m, d) with respect to the support, given that with respect to the adapted contrasts."""
        left, right = [], []
        weight_adjoint, bias_adjoint = adjoint
        for p, residual, weight in zip(
            reversed(self.probabilities), reversed(self.residuals), reversed(self.weights), strict=True
        ):
            # Step t is w <- w - rate * r(w)^T H with residual r. Its adjoint has two parts: H appears in the product,
            # and r depends on H through the logits.
            direction = torch.addmm(bias_adjoint, self.support, weight_adjoint.T)
            slope = _through_softmax(p, _mixed(direction)) * (-self.rate / len(p))
            left += [-self.rate * residual, slope]
            right += [weight_adjoint, weight]
            weight_adjoint = weight_adjoint + slope.T @ self.support
            bias_adjoint = bias_adjoint + slope.sum(0)
        # One product at the end instead of a pass over (m, d) at each step.
        return torch.cat(left, 1) @ torch.cat(right, 0)


class _Kernel:
    """Gradient descent on coefficients (m, c) of the support samples, through their Gram matrix plus one.

    The recursions run in NumPy, as on such small matrices the overhead of a torch call exceeds its work. A sample's
    coefficient is the sum of its residuals so far; ``kernel`` includes the factor ``scale`` that makes it a step.
    """

    def __init__(self, support: Tensor, targets: Tensor, start: LinearHead, steps: int, rate: float) -> None:
        self.support, self.start, self.scale = support, start, -rate / len(support)
        self.kernel = _array(support @ support.T)
        first, labels = _array(start.logits(support)), _array(targets)
        self.probabilities: list[np.ndarray] = []
        self.coefficients: list[np.ndarray] = []
        coefficients, logits = np.zeros_like(first), first
        # A diverging descent gives infinities, which the caller reports.
        with np.errstate(all="ignore"):
            self.kernel += 1
            self.kernel *= self.scale
            for _ in range(steps):
                p = _probabilities_of(logits)
                self.probabilities.append(p)
                self.coefficients.append(coefficients)
                # W_t = W_0 + scale * coefficients^T H, so the logits need only H H^T; the plus one is the bias.
                coefficients = coefficients + _mixed(p - labels)
                logits = first + self.kernel @ coefficients
        self.last = torch.from_numpy(coefficients).to(support)
        self.contrasts = LinearHead(
            torch.addmm(start.weight, self.last.T, support, alpha=self.scale),
            start.bias + self.scale * self.last.sum(0),
        )

    def backward(self, adjoint: LinearHead) -> Tensor:
        """See ``_Direct.backward``."""
        # Adapted weights are scale * coefficients^T H, so the coefficients' gradient is scale times these logits.
        by_coefficient, slopes = _array(adjoint.logits(self.support)), []
        with np.errstate(all="ignore"):
            for p in reversed(self.probabilities):
                slope = _through_softmax(p, _mixed(by_coefficient))
                slopes.append(slope)
                by_coefficient = by_coefficient + self.kernel @ slope
            # The gradient with respect to the kernel, symmetrised below because the kernel is H H^T.
            by_kernel = self.scale * (np.concatenate(slopes, 1) @ np.concatenate(self.coefficients[::-1], 1).T)
            by_start = torch.from_numpy(np.sum(slopes, axis=0)).to(self.support)
        symmetric = torch.from_numpy(by_kernel + by_kernel.T).to(self.support)
        # H also appears at both ends: in the final weights and in the initial logits.
        ends = torch.cat([self.last, by_start], 1) @ torch.cat([adjoint.weight, self.start.weight])
        return torch.addmm(ends, symmetric, self.support, beta=self.scale, alpha=self.scale)


def _descent(
    support: Tensor, targets: Tensor, start: LinearHead, steps: int, rate: float, form: str
) -> _Direct | _Kernel:
    m, d = support.shape
    columns = steps * targets.shape[1]
    # Multiplications of both forms; the kernel's are cheaper by factors that were measured once and not recorded.
    few = m * (2 * d + 3 * columns) < 7 * columns * d
    return (_Kernel if form == "kernel" or (form == "auto" and few) else _Direct)(support, targets, start, steps, rate)


def _contrasts(head: LinearHead) -> LinearHead:
    """Return weight (c, d) and bias (c,) of the differences between each logit and the last one."""
    return LinearHead(head.weight[:-1] - head.weight[-1], head.bias[:-1] - head.bias[-1])


def _restored(start: LinearHead, contrasts: LinearHead) -> LinearHead:
    """Return the head with these contrasts whose change from the start sums to zero over classes."""
    parts = []
    for old, first, last in zip(start, _contrasts(start), contrasts, strict=True):
        change = last - first
        # As residuals sum to zero, so do the changes of the C rows: the last is minus the contrasts' sum over C.
        others = change - change.sum(0) / len(start.bias)
        parts.append(old + torch.cat([others, -others.sum(0, keepdim=True)]))
    return LinearHead(*parts)


def _targets(labels: Tensor, n_classes: int) -> Tensor:
    """Return the one-hot labels (m, c) of all classes but the last."""
    return one_hot(labels, n_classes)[:, :-1]


def _probabilities(logits: Tensor) -> Tensor:
    """Return the probabilities (m, c) of all classes but the last, whose logit is 0."""
    return logits.sigmoid() if logits.shape[1] == 1 else pad(logits, (0, 1)).softmax(1)[:, :-1]


def _probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Return ``_probabilities`` of an array."""
    if logits.shape[1] == 1:
        return np.asarray(expit(logits))
    return np.asarray(softmax(np.pad(logits, ((0, 0), (0, 1))), axis=1)[:, :-1])


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _mixed(columns: Any) -> Any:
    """Multiply (m, c) by the identity plus ones: the effect on contrasts of a step in all C logits."""
    return 2 * columns if columns.shape[1] == 1 else columns + columns.sum(1).reshape(-1, 1)


def _through_softmax(p: Any, adjoint: Any) -> Any:
    """Return the gradient with respect to the logits, given the one with respect to the probabilities (m, c)."""
    inner = p * adjoint
    return inner - p * inner if p.shape[1] == 1 else inner - p * inner.sum(1).reshape(-1, 1)
