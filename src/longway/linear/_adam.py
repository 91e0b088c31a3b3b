"""Adam for loops of many short steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Adam:
    """Adam with its usual settings on one tensor, in place.

    The arithmetic is that of ``torch.optim.Adam``, which on tensors as small as these spends more time around the
    arithmetic than in it.

    Parameters
    ----------
    parameter : Tensor
    rate : float
    """

    BETAS, EPSILON = (0.9, 0.999), 1e-8

    def __init__(self, parameter: Tensor, rate: float) -> None:
        self.parameter, self.rate, self.done = parameter, rate, 0
        self.first, self.second, self.std = (torch.zeros_like(parameter) for _ in range(3))

    def step(self, gradient: Tensor) -> None:
        """Move the parameter."""
        self.done += 1
        unbiased = [1 - beta**self.done for beta in self.BETAS]
        self.first.lerp_(gradient, 1 - self.BETAS[0])
        self.second.mul_(self.BETAS[1]).addcmul_(gradient, gradient, value=1 - self.BETAS[1])
        torch.sqrt(self.second, out=self.std).div_(math.sqrt(unbiased[1])).add_(self.EPSILON)
        self.parameter.addcdiv_(self.first, self.std, value=-self.rate / unbiased[0])
