"""Ordinary classifier on features or images, and its loss."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.linear.feature_head import FeatureHead
from longway.nn.convnet import ConvNet


def build_classifier(input_shape: tuple[int, ...], n_classes: int, hidden: Sequence[int] = ()) -> ConvNet | FeatureHead:
    """Build an untrained ``ConvNet`` for images (c, h, w), or a ``FeatureHead`` for features (d,)."""
    if len(input_shape) == 3:
        return ConvNet(input_shape, n_classes)
    return FeatureHead(input_shape[0], n_classes, hidden)


class Features(nn.Module):
    """The part of a network below its last linear layer."""

    def __init__(self, network: ConvNet | FeatureHead) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to features (n, k)."""
        return self.network.features(x)


class CrossEntropy(nn.Module):
    """The weighted mean cross-entropy of a network, as an objective for the training loop."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch with labels (n,) and sample weights (n,)."""
        return {"loss": (cross_entropy(self.network(x), y, reduction="none") * weight).mean()}
