"""Stacks of linear heads, which batched solvers return."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from longway.linear._hypergradient import Head


class Heads(NamedTuple):
    """P linear heads: ``weight`` of shape (P, C, d), ``bias`` of shape (P, C)."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Map features (n, d) to logits (n, P, C), in one product."""
        flat = torch.addmm(self.bias.reshape(-1), features, self.weight.flatten(0, 1).T)
        return flat.reshape(len(features), *self.bias.shape)

    def pick(self, problem: int) -> Head:
        """Return one of the heads."""
        return Head(self.weight[problem], self.bias[problem])

    def mean(self) -> Head:
        """Return the head whose logits are the mean over all heads."""
        return Head(self.weight.mean(0), self.bias.mean(0))

    @classmethod
    def repeat(cls, head: Head, n_problems: int) -> Heads:
        """Return copies of one head."""
        return cls(*(part.unsqueeze(0).repeat(n_problems, *[1] * part.ndim) for part in head))
