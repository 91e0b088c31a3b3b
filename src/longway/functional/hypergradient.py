"""HSFM's inner problem (gradient descent on a linear head) and the exact gradient of what follows from it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot


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


def adapt(support: Tensor, labels: Tensor, head: Head, *, steps: int, rate: float) -> Head:
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

    Returns
    -------
    Head
        theta_T.
    """
    return _descend(support, labels, head, steps, rate)[0]


def hypergradient(
    support: Tensor,
    labels: Tensor,
    hard: Tensor,
    hard_labels: Tensor,
    head: Head,
    *,
    steps: int,
    rate: float,
) -> Hypergradient:
    """Differentiate the adapted head's loss on hard samples with respect to the support features, exactly.

    Runs the unrolled descent backwards by hand, so that no autograd graph of T steps is built: per step two products
    of the support with a (C, d) matrix each way.

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

    Returns
    -------
    Hypergradient

    References
    ----------
    arXiv 2603.29313 (HSFM), inner and outer problem; the backward recursion is derived from them.
    """
    adapted, probabilities = _descend(support, labels, head, steps, rate)
    targets = one_hot(labels, head.bias.shape[0]).to(support)
    logits = adapted.logits(hard)
    loss = cross_entropy(logits, hard_labels)
    residual = (logits.softmax(1) - one_hot(hard_labels, head.bias.shape[0]).to(logits)) / len(hard)
    weight_adjoint, bias_adjoint = residual.T @ hard, residual.sum(0)

    scale, weight, gradient = 1 / len(support), adapted.weight, torch.zeros_like(support)
    for p in reversed(probabilities):
        error = (p - targets) * scale
        weight = weight + rate * (error.T @ support)  # undoes the step: the weight that p was computed with
        direction = torch.addmm(bias_adjoint, support, weight_adjoint.T)
        curvature = p * (direction - (p * direction).sum(1, keepdim=True)) * scale
        gradient -= rate * (error @ weight_adjoint + curvature @ weight)
        weight_adjoint = weight_adjoint - rate * (curvature.T @ support)
        bias_adjoint = bias_adjoint - rate * curvature.sum(0)
    return Hypergradient(loss, gradient, adapted)


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
    inputs = torch.cat([support, torch.ones_like(support[:, :1])], 1)
    vector = inputs.sum(0)
    for _ in range(iterations):
        vector = inputs.T @ (inputs @ (vector / vector.norm().clamp_min(torch.finfo(vector.dtype).tiny)))
    return 0.5 * float(vector.norm()) / len(support)


def _descend(support: Tensor, labels: Tensor, head: Head, steps: int, rate: float) -> tuple[Head, list[Tensor]]:
    """Return the adapted head and each step's class probabilities (m, C)."""
    targets = one_hot(labels, head.bias.shape[0]).to(support)
    probabilities = []
    for _ in range(steps):
        p = head.logits(support).softmax(1)
        error = (p - targets) / len(support)
        head = Head(head.weight - rate * (error.T @ support), head.bias - rate * error.sum(0))
        probabilities.append(p)
    return head, probabilities
