"""Whitening: a change of coordinates in which correlated features are learnt at the same rate."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Whitening(NamedTuple):
    """Symmetric maps (d, d) into the new coordinates (``to``) and back (``back``)."""

    to: Tensor
    back: Tensor


def shrunk_whitening(correlation: Tensor, shrinkage: float = 1.0) -> Whitening:
    """Whiten standardised features, shrunk towards the identity.

    Gradient descent on a head of correlated features, such as outputs of a ReLU, fits the few directions of large
    variance first and needs thousands of steps for the rest. In these coordinates, ``z @ to``, it does not
    (docs/experiments/0001-hsfm-inner-problem.md).

    Parameters
    ----------
    correlation : Tensor of shape (d, d)
        Second moments C of standardised features.
    shrinkage : float, default 1.0
        Added to every variance, in units of one feature's variance. Directions of less variance are barely amplified,
        which keeps noise small where there are few samples for many features.

    Returns
    -------
    Whitening
        ``(C + shrinkage I) ** -0.5`` and its inverse.

    Examples
    --------
    >>> whitening = shrunk_whitening(torch.tensor([[1.0, 0.9], [0.9, 1.0]]))
    >>> torch.dist(whitening.to @ whitening.back, torch.eye(2)).item() < 1e-6
    True
    """
    values, vectors = torch.linalg.eigh(correlation)
    # Rounding can make the smallest eigenvalues of a singular matrix negative.
    roots = (values.clamp_min(0) + shrinkage).sqrt()
    return Whitening((vectors / roots) @ vectors.T, (vectors * roots) @ vectors.T)
