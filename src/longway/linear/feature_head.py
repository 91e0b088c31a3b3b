"""Trainable heads on features, with standardisation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from longway.linear.head import LinearHead


class Standardize(nn.Module):
    """Subtract a stored mean and divide by a stored standard deviation, feature by feature.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of one input, such as d. Until ``set`` is called the module is the identity.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: int | tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def set(self, mean: Tensor, std: Tensor) -> None:
        """Store mean and standard deviation, each of the shape of one input."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to standardised inputs of the same shape."""
        # The difference is a new tensor, so dividing it in place saves a copy of the batch.
        return (x - self.mean).div_(self.std)

    def undo(self, x: Tensor) -> Tensor:
        """Map standardised inputs (n, ...) back to raw ones."""
        return x * self.std + self.mean


class FeatureHead(nn.Module):
    """Standardisation, optional hidden layers, and a linear layer to logits.

    Parameters
    ----------
    n_features, n_classes : int
        d and C.
    hidden : sequence of int, default ()
        Widths of hidden ReLU layers; none gives a linear head.
    """

    def __init__(self, n_features: int, n_classes: int, hidden: Sequence[int] = ()) -> None:
        super().__init__()
        self.standardize = Standardize(n_features)
        widths = [n_features, *hidden]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.linear = nn.Linear(widths[-1], n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Map (n, d) to the inputs of the last linear layer."""
        return self.body(self.standardize(x))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, d) to logits (n, C)."""
        return self.linear(self.features(x))

    def folded(self, dtype: torch.dtype = torch.float32) -> nn.Linear:
        """Merge a linear head and its standardisation into one layer on raw features."""
        # W ((x - m) / s) + b = (W / s) x + (b - (W / s) m); rounded to ``dtype`` only at the end.
        weight = self.linear.weight / self.standardize.std
        layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(self.linear.bias - weight @ self.standardize.mean)
        return layer.to(dtype)

    def set_linear(self, head: LinearHead) -> None:
        """Store the last layer's weight and bias."""
        with torch.no_grad():
            self.linear.weight.copy_(head.weight)
            self.linear.bias.copy_(head.bias)
