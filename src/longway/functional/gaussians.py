"""Moments of classes, and their divergence from a spherical Gaussian."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot


class Moments(NamedTuple):
    """Mean (C, d) and covariance (C, d, d), or variances (C, d), of each class."""

    mean: Tensor
    covariance: Tensor


def class_moments(points: Tensor, labels: Tensor, weights: Tensor, n_classes: int, *, full: bool) -> Moments:
    """Return the weighted mean and covariance of the points of each class; zeros for an empty class.

    Parameters
    ----------
    points : Tensor of shape (n, d)
    labels, weights : Tensor of shape (n,)
    n_classes : int
        C.
    full : bool
        Return covariances (C, d, d), else variances (C, d).

    Returns
    -------
    Moments
    """
    with torch.autocast(points.device.type, enabled=False):  # determinants of sums in 16 bits would be meaningless
        points = points.to(torch.promote_types(points.dtype, torch.float32))
        member = one_hot(labels, n_classes).to(points) * weights.to(points).unsqueeze(1)
        # Column c holds the weights of class c, summing to 1; an empty class is 0 / tiny = 0.
        member = member / member.sum(0).clamp_min(torch.finfo(points.dtype).tiny)
        mean = member.T @ points
        deviation = points - mean[labels]
        if not full:
            return Moments(mean, member.T @ deviation.square())
        return Moments(mean, torch.einsum("nc,ni,nj->cij", member, deviation, deviation))


def kl_to_spherical(moments: Moments, targets: Tensor, floor: float = 1e-2) -> Tensor:
    r"""Return :math:`KL(N(m_c, S_c) \| N(t_c, I))` in nats of each class.

    It is :math:`\frac12 (\mathrm{tr} S_c + \|m_c - t_c\|^2 - d - \log\det S_c)`.

    Parameters
    ----------
    moments : Moments
    targets : Tensor of shape (C, d)
        Means t of the targets.
    floor : float, default 1e-2
        Added to every variance, so that the divergence of a class of few points is finite and not steep.

    Returns
    -------
    Tensor of shape (C,)
    """
    mean, covariance = moments
    if covariance.ndim == 2:
        variances = covariance + floor
        trace, log_det = variances.sum(1), variances.log().sum(1)
    else:
        covariance = covariance + floor * torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)
        trace = covariance.diagonal(dim1=1, dim2=2).sum(1)
        log_det = torch.linalg.slogdet(covariance).logabsdet
    return 0.5 * (trace + (mean - targets).square().sum(1) - mean.shape[1] - log_det)
