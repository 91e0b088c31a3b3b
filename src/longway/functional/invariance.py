"""Penalties on the differences of a classifier's risk between environments."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longway.functional.group_mean import mean_by_group


def risks(
    logits: Tensor, labels: Tensor, weights: Tensor, environments: Tensor, n_environments: int
) -> tuple[Tensor, Tensor]:
    """Return the weighted mean cross-entropy of each environment, 0 for an empty one, and a mask of the non-empty ones.

    Parameters
    ----------
    logits : Tensor of shape (n, C)
    labels, weights, environments : Tensor of shape (n,)
        Class codes, sample weights, and environment codes below ``n_environments``.
    n_environments : int
        E.

    Returns
    -------
    (Tensor of shape (E,), bool Tensor of shape (E,))
    """
    return mean_by_group(cross_entropy(logits, labels, reduction="none"), weights, environments, n_environments)


def scale_derivatives(
    logits: Tensor, labels: Tensor, weights: Tensor, environments: Tensor, n_environments: int
) -> tuple[Tensor, Tensor]:
    r"""Return the derivative of each environment's risk with respect to a common factor w of the logits, at w = 1.

    The derivative of :math:`R_e(w f)` is the mean over the environment of :math:`\sum_c (p_c - [c = y]) f_c`: the mean
    logit less the logit of the true class. It needs no second pass of automatic differentiation.

    Parameters
    ----------
    logits, labels, weights, environments, n_environments
        See ``risks``.

    Returns
    -------
    (Tensor of shape (E,), bool Tensor of shape (E,))
        0 where an environment has no sample, and which have any.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # mixed precision has them in 16 bits
    true = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    slopes = (logits.softmax(1) * logits).sum(1) - true
    return mean_by_group(slopes, weights, environments, n_environments)


def irm_penalty(logits: Tensor, labels: Tensor, weights: Tensor, environments: Tensor, n_environments: int) -> Tensor:
    r"""Mean over the environments that are present of :math:`(\partial_w R_e(w f))^2` at w = 1 (IRMv1).

    Parameters
    ----------
    logits, labels, weights, environments, n_environments
        See ``risks``.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    Arjovsky et al., "Invariant risk minimization", arXiv 1907.02893, section 3.1.
    """
    slopes, present = scale_derivatives(logits, labels, weights, environments, n_environments)
    return slopes.square().sum() / present.sum()


def risk_variance(logits: Tensor, labels: Tensor, weights: Tensor, environments: Tensor, n_environments: int) -> Tensor:
    """Variance of the risk over the environments that are present (V-REx).

    Parameters
    ----------
    logits, labels, weights, environments, n_environments
        See ``risks``.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    Krueger et al., "Out-of-distribution generalization via risk extrapolation", ICML 2021, equation 8.
    """
    values, present = risks(logits, labels, weights, environments, n_environments)
    mean = values.sum() / present.sum()
    return ((values - mean).square() * present).sum() / present.sum()
