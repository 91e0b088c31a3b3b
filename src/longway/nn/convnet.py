"""A small convolutional net for images of any size."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNet(nn.Module):
    """Convolutions with batch normalisation down to 4x4 pixels, one hidden layer, logits.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height and width.
    n_classes : int
        C.
    width : int, default 32
        Channels of the first convolution; they double where the image is halved, up to four times.
    hidden : int, default 128
        Features before the last linear layer.
    """

    def __init__(self, input_shape: tuple[int, int, int], n_classes: int, width: int = 32, hidden: int = 128) -> None:
        super().__init__()
        channels, size, out = input_shape[0], min(input_shape[1:]), width
        layers: list[nn.Module] = [nn.BatchNorm2d(channels)]
        while True:
            stride = 2 if size > 4 else 1
            layers += [nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels, size = out, -(-size // stride)
            if size <= 4:
                break
            out = min(2 * out, 4 * width)
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, hidden))
        self.linear = nn.Linear(hidden, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) to features (n, hidden)."""
        return self.body(x).relu()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) to logits (n, C)."""
        return self.linear(self.features(x))
