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
    r"""Mean over samples of :math:`\|f(z) - f(\bar z)\|_2^2`.

    Parameters
    ----------
    clean_logits, noisy_logits : Tensor of shape (n, C)

    Returns
    -------
    Tensor of shape ()
    """
    return (clean_logits - noisy_logits).square().sum(1).mean()


def divergence(clean_logits: Tensor, noisy_logits: Tensor) -> Tensor:
    r"""Mean over samples of the Jensen-Shannon divergence of two predictions, in nats.

    Of probabilities, so that it cannot be had by making logits small; at most ln 2, so that it cannot drown the rest.

    Parameters
    ----------
    clean_logits, noisy_logits : Tensor of shape (n, C)

    Returns
    -------
    Tensor of shape ()
    """
    first, second = clean_logits.log_softmax(1), noisy_logits.log_softmax(1)
    middle = torch.logaddexp(first, second) - math.log(2)
    apart = first.exp() * (first - middle) + second.exp() * (second - middle)
    return 0.5 * apart.sum(1).mean()


def targeted_penalty(
    classifier: Callable[[Tensor], Tensor], latents: Tensor, scores: Tensor, scale: float, weight: float
) -> Tensor:
    r"""Compute the second-order term of Theorem 1: the increase of the cross-entropy under SITAR's noise.

    The mean over samples of
    :math:`\alpha^2 \sum_j v_j^2 [\frac12 J_j^T H J_j + \lambda \|J_j\|^2]`, with :math:`J_j` column j of the logit
    Jacobian and :math:`H = diag(p) - p p^T` the Hessian of the cross-entropy in logit space. The theorem leaves out the
    curvature of the classifier itself, :math:`\frac12 \sum_k (p_k - y_k) \nabla^2 f_k`; it is zero where the classifier
    is piecewise linear, as with ReLU.

    Parameters
    ----------
    classifier : callable
        Maps latents (n, d) to logits (n, C), row by row.
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
    curvature = (p * jacobian.square()).sum(1) - (p * jacobian).sum(1).square()
    per_axis = 0.5 * curvature + weight * jacobian.square().sum(1)
    return scale**2 * (per_axis * scores.square()).sum(1).mean()
