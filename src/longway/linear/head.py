"""Linear heads as plain tensors, one or many; ``FeatureHead`` is the trainable module."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class LinearHead(NamedTuple):
    """A linear head: ``weight`` of shape (C, d), ``bias`` of shape (C,)."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Map features (n, d) to logits (n, C)."""
        return torch.addmm(self.bias, features, self.weight.T)

    def to(self, like: Tensor) -> LinearHead:
        """Return the head with the dtype and device of a tensor."""
        return LinearHead(self.weight.to(like), self.bias.to(like))

    def joined(self) -> Tensor:
        """Return weight and bias as one tensor (C, d + 1), the bias last."""
        return torch.cat([self.weight, self.bias.unsqueeze(1)], 1)


class HeadStack(NamedTuple):
    """P linear heads, as batched solvers return them: ``weight`` of shape (P, C, d), ``bias`` of shape (P, C)."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def repeat(cls, head: LinearHead, n_problems: int) -> HeadStack:
        """Return copies of one head."""
        return cls(*(part.unsqueeze(0).repeat(n_problems, *[1] * part.ndim) for part in head))

    def logits(self, features: Tensor) -> Tensor:
        """Map features (n, d) to logits (n, P, C), in one product."""
        flat = torch.addmm(self.bias.reshape(-1), features, self.weight.flatten(0, 1).T)
        return flat.reshape(len(features), *self.bias.shape)

    def joined(self) -> Tensor:
        """Return weights and biases as one tensor (P, C, d + 1), the bias last."""
        return torch.cat([self.weight, self.bias.unsqueeze(2)], 2)

    def pick(self, problem: int) -> LinearHead:
        """Return one of the heads."""
        return LinearHead(self.weight[problem], self.bias[problem])

    def mean(self) -> LinearHead:
        """Return the head whose logits are the mean over all heads."""
        return LinearHead(self.weight.mean(0), self.bias.mean(0))
