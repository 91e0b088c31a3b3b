"""Largest singular values of linear and convolutional layers, by power iteration."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear

Map = Callable[[Tensor], Tensor]


def layer_maps(layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...]) -> tuple[Map, Map]:
    """Return the linear map of a layer on one input, without bias, and its adjoint.

    Parameters
    ----------
    layer : nn.Linear or nn.Conv2d
    shape : tuple of int
        Shape of one input: (d,) or (c, h, w). A convolution's singular values depend on the size of its input.

    Returns
    -------
    (callable, callable)
        From inputs of this shape to outputs, and from outputs to inputs.
    """
    weight = layer.weight
    if isinstance(layer, nn.Linear):
        return lambda v: linear(v, weight), lambda u: linear(u, weight.T)
    step, padding, spacing, groups = layer.stride, layer.padding, layer.dilation, layer.groups
    assert not isinstance(padding, str)
    # Input pixels at the far edge that a stride never reaches; the adjoint must restore that size.
    output_padding = [
        (size + 2 * p - d * (k - 1) - 1) % s
        for size, p, d, k, s in zip(shape[1:], padding, spacing, layer.kernel_size, step, strict=True)
    ]
    return (
        lambda v: conv2d(v[None], weight, None, step, padding, spacing, groups)[0],
        lambda u: conv_transpose2d(u[None], weight, None, step, padding, output_padding, groups, spacing)[0],
    )


def top_singular_value(forward: Map, adjoint: Map, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    r"""Return the largest singular value of a linear map, with its gradient, by power iteration.

    The value is :math:`\sigma = u^T W v` with the singular vectors u and v held fixed, so that its gradient with
    respect to W is :math:`u v^T`. It approaches sigma from below, unless the start is orthogonal to v.

    Parameters
    ----------
    forward, adjoint : callable
        Map v to W v, and u to W^T u.
    start : Tensor
        Initial v. From the v of an earlier call, a step or two follow a map that changes little.
    steps : int
        Power iterations; with 0, ``start`` is taken as v.

    Returns
    -------
    (Tensor of shape (), Tensor of the shape of start)
        Sigma, and v of length 1, without gradient.

    Examples
    --------
    >>> matrix = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    >>> value, _ = top_singular_value(matrix.mv, matrix.T.mv, torch.ones(2), 20)
    >>> round(value.item(), 4)
    3.0
    """
    tiny = torch.finfo(start.dtype).tiny
    with torch.no_grad():
        v = start / start.norm().clamp_min(tiny)
        for _ in range(steps):
            # One step with W^T W, whose top eigenvector is v; normalising prevents overflow.
            v = adjoint(forward(v))
            v = v / v.norm().clamp_min(tiny)
        u = forward(v)
        u = u / u.norm().clamp_min(tiny)
    return (u * forward(v)).sum(), v
