"""A small convolutional net for images of any size."""

from __future__ import annotations

from torch import Tensor, nn

MAX_UNSTRIDED = 32
"""Longest short side, in pixels, at which the first convolution has no stride. Chosen by hand."""


class ConvNet(nn.Module):
    """Strided convolutions down to 4x4 pixels, one hidden layer, logits; dropout around the hidden layer.

    The first convolution keeps the size of images of up to 32 pixels. On larger ones it would cost more than all
    others, so it has a stride.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height and width.
    n_classes : int
        C.
    width : int, default 32
        Channels of the first convolution; they double with each halving of the image, up to four times as many.
    hidden : int, default 128
        Features before the last linear layer.
    dropout : float, default 0.5
        Without it the network memorises the few samples that contradict a shortcut, and reweighting them stops helping
        (docs/experiments/0002-the-demonstrations-task.md).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        width: int = 32,
        hidden: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        size = min(input_shape[1:])
        stride = -(-size // MAX_UNSTRIDED)  # rounded up
        layers: list[nn.Module] = [nn.Conv2d(input_shape[0], width, 3, stride, 1), nn.ReLU()]
        channels, size = width, -(-size // stride)
        while size > 4:
            outer = min(2 * channels, 4 * width)
            layers += [nn.Conv2d(channels, outer, 3, 2, 1), nn.ReLU()]
            channels, size = outer, -(-size // 2)
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(dropout), nn.Linear(16 * channels, hidden)]
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) to features (n, hidden)."""
        return self.body(x).relu()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) to logits (n, C)."""
        return self.linear(self.dropout(self.features(x)))
