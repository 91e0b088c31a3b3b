"""Adam for loops of many short steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Adam:
    """Adam with its usual settings on one tensor, in place.

    The arithmetic is that of ``torch.optim.Adam``, whose overhead on tensors as small as these exceeds the arithmetic
    (docs/experiments/0008-speed-of-heads.md).

    Parameters
    ----------
    parameter : Tensor
    rate : float
        Step size.
    """

    BETAS, EPSILON = (0.9, 0.999), 1e-8

    def __init__(self, parameter: Tensor, rate: float) -> None:
        self.parameter, self.rate, self.n_steps = parameter, rate, 0
        self.first, self.second, self.scale = (torch.zeros_like(parameter) for _ in range(3))

    def step(self, gradient: Tensor) -> None:
        """Update the parameter."""
        self.n_steps += 1
        # Both moments start at zero; dividing by 1 - beta^t removes that bias.
        first_bias, second_bias = (1 - beta**self.n_steps for beta in self.BETAS)
        self.first.lerp_(gradient, 1 - self.BETAS[0])
        self.second.mul_(self.BETAS[1]).addcmul_(gradient, gradient, value=1 - self.BETAS[1])
        torch.sqrt(self.second, out=self.scale).div_(math.sqrt(second_bias)).add_(self.EPSILON)
        self.parameter.addcdiv_(self.first, self.scale, value=-self.rate / first_bias)
