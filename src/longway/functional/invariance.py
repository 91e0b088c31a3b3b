"""Penalties on the differences of a classifier's risk between environments.

All functions take logits (n, C), class codes (n,), sample weights (n,), environment codes (n,), and the number E of
environments. Environments without samples are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longway.functional.group_mean import mean_by_group


def risks(
    logits: Tensor, labels: Tensor, weights: Tensor, environments: Tensor, n_environments: int
) -> tuple[Tensor, Tensor]:
    """Return the weighted mean cross-entropy (E,) of each environment, and a mask (E,) of the non-empty ones."""
    return mean_by_group(cross_entropy(logits, labels, reduction="none"), weights, environments, n_environments)


def scale_derivatives(
    logits: Tensor, labels: Tensor, weights: Tensor, environments: Tensor, n_environments: int
) -> tuple[Tensor, Tensor]:
    r"""Return the derivative (E,) of each risk with respect to a common factor w of the logits, and a mask (E,).

    At w = 1. The mask marks the non-empty environments.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # 16 bits under mixed precision
    # The derivative of CE(w f) at w = 1 is sum_c (p_c - [c = y]) f_c, the mean logit minus the true one: no second
    # pass of automatic differentiation is needed.
    true_logit = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    slopes = (logits.softmax(1) * logits).sum(1) - true_logit
    return mean_by_group(slopes, weights, environments, n_environments)


def irm_penalty(logits: Tensor, labels: Tensor, weights: Tensor, environments: Tensor, n_environments: int) -> Tensor:
    r"""Return the mean over environments of :math:`(\partial_w R_e(w f))^2` at w = 1 (IRMv1), of shape ().

    References
    ----------
    Arjovsky et al., "Invariant risk minimization", arXiv 1907.02893, section 3.1.
    """
    slopes, present = scale_derivatives(logits, labels, weights, environments, n_environments)
    return slopes.square().sum() / present.sum()


def risk_variance(logits: Tensor, labels: Tensor, weights: Tensor, environments: Tensor, n_environments: int) -> Tensor:
    """Return the variance of the risk over environments (V-REx), of shape ().

    References
    ----------
    Krueger et al., "Out-of-distribution generalization via risk extrapolation", ICML 2021, equation 8.
    """
    values, present = risks(logits, labels, weights, environments, n_environments)
    mean = values.sum() / present.sum()
    return ((values - mean).square() * present).sum() / present.sum()
