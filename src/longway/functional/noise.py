"""SITAR's noise along label-correlated axes, and the equivalent penalty."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacrev, vmap


def perturb(latents: Tensor, scores: Tensor, scale: float) -> Tensor:
    r"""Add Gaussian noise in proportion to each axis's shortcut score: :math:`\bar z = z + \alpha (v \odot \epsilon)`.

    Parameters
    ----------
    latents : Tensor of shape (n, d)
        Latent samples z.
    scores : Tensor of shape (d,)
        Shortcut scores v.
    scale : float
        Noise scale, the paper's alpha.

    Returns
    -------
    Tensor of shape (n, d)
    """
    return latents + scale * scores * torch.randn_like(latents)


def consistency(clean_logits: Tensor, noisy_logits: Tensor) -> Tensor:
    r"""Return the mean over samples of :math:`\|f(z) - f(\bar z)\|_2^2` for logits (n, C), of shape ()."""
    return (clean_logits - noisy_logits).square().sum(1).mean()


def divergence(clean_logits: Tensor, noisy_logits: Tensor) -> Tensor:
    """Return the mean Jensen-Shannon divergence of the predictions of logits (n, C) in nats, of shape ().

    It compares probabilities, so small logits alone do not lower it, and is at most ln 2, so it cannot dominate a loss.
    """
    first, second = clean_logits.log_softmax(1), noisy_logits.log_softmax(1)
    # The mixture's log probabilities by logaddexp: exp() of confident logits would underflow to log 0.
    middle = torch.logaddexp(first, second) - math.log(2)
    twice = first.exp() * (first - middle) + second.exp() * (second - middle)
    return 0.5 * twice.sum(1).mean()


def targeted_penalty(
    classifier: Callable[[Tensor], Tensor], latents: Tensor, scores: Tensor, scale: float, weight: float
) -> Tensor:
    r"""Compute the second-order term of Theorem 1: the increase of the cross-entropy under SITAR's noise.

    It is the mean over samples of
    :math:`\alpha^2 \sum_j v_j^2 [\frac12 J_j^T H J_j + \lambda \|J_j\|^2]`, with :math:`J_j` column j of the logit
    Jacobian and :math:`H = diag(p) - p p^T` the Hessian of the cross-entropy in logit space. The theorem leaves out the
    curvature of the classifier itself, :math:`\frac12 \sum_k (p_k - y_k) \nabla^2 f_k`; it is zero where the classifier
    is piecewise linear, as with ReLU.

    Parameters
    ----------
    classifier : callable
        Maps latents (n, d) to logits (n, C), sample by sample.
    latents : Tensor of shape (n, d)
    scores : Tensor of shape (d,)
        Shortcut scores v.
    scale : float
        Noise scale, the paper's alpha.
    weight : float
        Consistency weight, the paper's lambda.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    arXiv 2511.19525, Theorem 1.
    """

    def logits_of_one(latent: Tensor) -> Tensor:
        return classifier(latent.unsqueeze(0)).squeeze(0)

    jacobian = vmap(jacrev(logits_of_one))(latents)  # (n, C, d)
    p = classifier(latents).softmax(1).unsqueeze(2)
    # J_j^T H J_j is the variance of J_j under p: E[J^2] - E[J]^2.
    curvature = (p * jacobian.square()).sum(1) - (p * jacobian).sum(1).square()
    per_axis = 0.5 * curvature + weight * jacobian.square().sum(1)
    return scale**2 * (per_axis * scores.square()).sum(1).mean()
