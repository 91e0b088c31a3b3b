"""HSFM's inner problem (gradient descent on a linear head) and the exact gradient of what follows from it.

Softmax sees differences of logits only, and the residuals of a row sum to zero. So all recursions run on the contrasts
with the last class, C - 1 columns instead of C: with two classes that is half the work.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import expit, softmax
from torch import Tensor
from torch.nn.functional import one_hot, pad


class Head(NamedTuple):
    """A linear head: ``weight`` of shape (C, d), ``bias`` of shape (C,)."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Map features (n, d) to logits (n, C)."""
        return torch.addmm(self.bias, features, self.weight.T)


class Hypergradient(NamedTuple):
    """The outer loss, its gradient with respect to the support (m, d), and the adapted head."""

    loss: Tensor
    support: Tensor
    head: Head


def adapt(support: Tensor, labels: Tensor, head: Head, *, steps: int, rate: float, form: str = "auto") -> Head:
    """Take plain gradient steps on the mean cross-entropy over the support.

    Parameters
    ----------
    support : Tensor of shape (m, d)
        Support features H.
    labels : Tensor of shape (m,), integer
    head : Head
        Where to start, theta.
    steps : int
        Number of steps, the paper's T.
    rate : float
        Step size, the paper's alpha.
    form : {"auto", "kernel", "direct"}, default "auto"
        See ``hypergradient``.

    Returns
    -------
    Head
        theta_T.
    """
    descent = _descent(support, labels, head, steps, rate, form)
    return _restored(head, descent.weight, descent.bias)


def hypergradient(
    support: Tensor,
    labels: Tensor,
    hard: Tensor,
    hard_labels: Tensor,
    head: Head,
    *,
    steps: int,
    rate: float,
    hard_weights: Tensor | None = None,
    form: str = "auto",
) -> Hypergradient:
    """Differentiate the adapted head's loss on hard samples with respect to the support features, exactly.

    Runs the unrolled descent backwards by hand, so that no autograd graph of T steps is built.

    Parameters
    ----------
    support : Tensor of shape (m, d)
        Support features H.
    labels : Tensor of shape (m,), integer
        Their fixed labels.
    hard : Tensor of shape (k, d)
        Features of the hard set.
    hard_labels : Tensor of shape (k,), integer
    head : Head
        Where the inner descent starts, theta.
    steps : int
        Inner steps, the paper's T.
    rate : float
        Inner step size, the paper's alpha.
    hard_weights : Tensor of shape (k,), optional
        Weights of the hard samples in the outer loss, that sum to 1; 1 / k each if not given.
    form : {"auto", "kernel", "direct"}, default "auto"
        ``direct`` descends in the weights, T passes over the (m, d) support each way. ``kernel`` descends in the
        coefficients of the support's rows: every step then costs m * m and only the ends touch features. ``auto``
        takes the one with the lesser work. All are exact.

    Returns
    -------
    Hypergradient

    References
    ----------
    arXiv 2603.29313 (HSFM), inner and outer problem; the backward recursions are derived from them.
    """
    descent = _descent(support, labels, head, steps, rate, form)
    logits = torch.addmm(descent.bias, hard, descent.weight.T)
    logs = pad(logits, (0, 1)).log_softmax(1)
    losses = -logs.gather(1, hard_labels.unsqueeze(1)).squeeze(1)
    weights = torch.full_like(losses, 1 / len(hard)) if hard_weights is None else hard_weights.to(losses)
    targets = _targets(hard_labels, head, logits)
    residual = (logs[:, :-1].exp() - targets) * weights.unsqueeze(1)
    gradient = descent.backward(residual.T @ hard, residual.sum(0))
    return Hypergradient(losses @ weights, gradient, _restored(head, descent.weight, descent.bias))


def inner_curvature(support: Tensor, iterations: int = 30) -> float:
    """Bound the curvature of the inner loss over heads: half the top eigenvalue of the support's second moment.

    Gradient descent on a head converges with any step below twice the inverse of it, whatever the features' scale.

    Parameters
    ----------
    support : Tensor of shape (m, d)
    iterations : int, default 30
        Of the power method, which approaches the eigenvalue from below.

    Returns
    -------
    float
    """
    few = len(support) < support.shape[1]
    inputs = torch.cat([support, torch.ones_like(support[:, :1])], 1)
    matrix = inputs @ inputs.T if few else inputs
    vector = inputs.norm(dim=1) if few else inputs.sum(0)
    for _ in range(iterations):
        vector = vector / vector.norm().clamp_min(torch.finfo(vector.dtype).tiny)
        vector = matrix @ vector if few else matrix.T @ (matrix @ vector)
    return 0.5 * float(vector.norm()) / len(support)


class _Direct:
    """Descent in the contrasts' weights (c, d), c = C - 1; keeps what the way back needs."""

    def __init__(self, support: Tensor, labels: Tensor, head: Head, steps: int, rate: float) -> None:
        self.support, self.rate = support, rate
        self.weight, self.bias = _contrasts(head)
        targets = _targets(labels, head, support)
        self.probabilities: list[Tensor] = []
        self.pulls: list[Tensor] = []
        self.weights: list[Tensor] = []
        for _ in range(steps):
            p = _probabilities(torch.addmm(self.bias, support, self.weight.T))
            pull = _mixed((p - targets) / len(support))
            self.probabilities.append(p)
            self.pulls.append(pull)
            self.weights.append(self.weight)
            self.weight = self.weight - rate * (pull.T @ support)
            self.bias = self.bias - rate * pull.sum(0)

    def backward(self, weight_adjoint: Tensor, bias_adjoint: Tensor) -> Tensor:
        """Return the gradient (m, d) of what has these gradients with respect to the adapted contrasts."""
        left, right = [], []
        for p, pull, weight in zip(
            reversed(self.probabilities), reversed(self.pulls), reversed(self.weights), strict=True
        ):
            direction = torch.addmm(bias_adjoint, self.support, weight_adjoint.T)
            slope = _through_softmax(p, _mixed(direction)) * (-self.rate / len(p))
            left += [-self.rate * pull, slope]
            right += [weight_adjoint, weight]
            weight_adjoint = weight_adjoint + slope.T @ self.support
            bias_adjoint = bias_adjoint + slope.sum(0)
        # One product at the end instead of a pass over (m, d) at each step.
        return torch.cat(left, 1) @ torch.cat(right, 0)


class _Kernel:
    """Descent in the coefficients (m, c) of the support's rows, through their Gram matrix plus one.

    The recursions run in NumPy: on matrices as small as these, what a call of torch costs outweighs what it computes.
    """

    def __init__(self, support: Tensor, labels: Tensor, head: Head, steps: int, rate: float) -> None:
        self.support, self.rate = support, rate
        self.start, bias = _contrasts(head)
        self.kernel = _array(support @ support.T + 1)
        first = _array(torch.addmm(bias, support, self.start.T))
        targets = _array(_targets(labels, head, support))
        coefficients, scale = np.zeros_like(first), 1 / len(first)
        self.probabilities: list[np.ndarray] = []
        self.coefficients: list[np.ndarray] = []
        # A descent that diverges gives infinities, which the caller sees and speaks of.
        with np.errstate(all="ignore"):
            for _ in range(steps):
                p = _probabilities_of(first - rate * (self.kernel @ coefficients))
                self.probabilities.append(p)
                self.coefficients.append(coefficients)
                coefficients = coefficients + scale * _mixed(p - targets)
        self.last = torch.from_numpy(coefficients).to(support)
        self.weight = torch.addmm(self.start, self.last.T, support, alpha=-rate)
        self.bias = bias - rate * self.last.sum(0)

    def backward(self, weight_adjoint: Tensor, bias_adjoint: Tensor) -> Tensor:
        """Return the gradient (m, d) of what has these gradients with respect to the adapted contrasts."""
        adjoint = _array(-self.rate * torch.addmm(bias_adjoint, self.support, weight_adjoint.T))
        slopes, scale = [], 1 / len(adjoint)
        with np.errstate(all="ignore"):
            for p in reversed(self.probabilities):
                slope = scale * _through_softmax(p, _mixed(adjoint))
                slopes.append(slope)
                adjoint = adjoint - self.rate * (self.kernel @ slope)
            by_kernel = np.concatenate(slopes, 1) @ np.concatenate(self.coefficients[::-1], 1).T
            pulled = torch.from_numpy(by_kernel + by_kernel.T).to(self.support)
            by_start = torch.from_numpy(np.sum(slopes, axis=0)).to(self.support)
        gradient = torch.addmm(self.last @ weight_adjoint, pulled, self.support)
        return torch.addmm(gradient, by_start, self.start, beta=-self.rate)


def _descent(support: Tensor, labels: Tensor, head: Head, steps: int, rate: float, form: str) -> _Direct | _Kernel:
    m, d = support.shape
    columns = steps * (len(head.bias) - 1)
    few = m * (2 * d + 3 * columns) < 7 * columns * d
    return (_Kernel if form == "kernel" or (form == "auto" and few) else _Direct)(support, labels, head, steps, rate)


def _contrasts(head: Head) -> tuple[Tensor, Tensor]:
    """Return weight (c, d) and bias (c,) of the logits' differences from the last class."""
    return head.weight[:-1] - head.weight[-1], head.bias[:-1] - head.bias[-1]


def _restored(start: Head, weight: Tensor, bias: Tensor) -> Head:
    """Return the head with these contrasts; what it moved from the start sums to zero over classes, as in descent."""
    first_weight, first_bias = _contrasts(start)
    parts = []
    for old, change in ((start.weight, weight - first_weight), (start.bias, bias - first_bias)):
        others = change - change.sum(0) / len(start.bias)
        parts.append(old + torch.cat([others, -others.sum(0, keepdim=True)]))
    return Head(*parts)


def _targets(labels: Tensor, head: Head, like: Tensor) -> Tensor:
    return one_hot(labels, len(head.bias))[:, :-1].to(like)


def _probabilities(logits: Tensor) -> Tensor:
    """Return the probabilities (m, c) of all classes but the last, whose logit is 0."""
    return logits.sigmoid() if logits.shape[1] == 1 else pad(logits, (0, 1)).softmax(1)[:, :-1]


def _probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Return what ``_probabilities`` does, of an array."""
    if logits.shape[1] == 1:
        return np.asarray(expit(logits))
    return np.asarray(softmax(np.pad(logits, ((0, 0), (0, 1))), axis=1)[:, :-1])


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _mixed(columns: Any) -> Any:
    """Multiply (m, c) by the identity plus ones: what a step in all C logits does to their contrasts."""
    return 2 * columns if columns.shape[1] == 1 else columns + columns.sum(1).reshape(-1, 1)


def _through_softmax(p: Any, adjoint: Any) -> Any:
    """Return the gradient with respect to the logits, given the one with respect to the probabilities (m, c)."""
    inner = p * adjoint
    return inner - p * inner if p.shape[1] == 1 else inner - p * inner.sum(1).reshape(-1, 1)
