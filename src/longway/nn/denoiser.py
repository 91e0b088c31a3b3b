"""A class-conditional network that predicts the noise in an input."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, pixel_shuffle, pixel_unshuffle, silu

LARGEST = 16
"""Side in patches up to which patches have 2 pixels a side; larger images have larger patches."""

SMALLEST = 4
"""Side in patches below which images are not halved further."""

FREQUENCIES = (0.1, 4.0)
"""Lowest and highest frequency of the sines that encode the signal-to-noise ratio, in radians."""


class Condition(nn.Module):
    """The conditioning of a network as one vector: the signal-to-noise ratio and the class.

    Parameters
    ----------
    n_classes : int
        C.
    width : int
        Of the vector.
    """

    frequencies: Tensor

    def __init__(self, n_classes: int, width: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(n_classes, width)
        self.ratio = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        low, high = (math.log(frequency) for frequency in FREQUENCIES)
        self.register_buffer("frequencies", torch.linspace(low, high, 16).exp())

    def forward(self, log_snr: Tensor, y: Tensor) -> Tensor:
        """Map ratios (n,) and classes (n,), or one for all (1,), to vectors (n, width)."""
        waves = log_snr.unsqueeze(1) * self.frequencies
        return silu(self.ratio(torch.cat([waves.sin(), waves.cos()], 1)) + self.classes(y))


class PatchDenoiser(nn.Module):
    """A U-shaped convolutional net on patches of an image.

    Patches of 2x2 pixels, or more on images of more than 32, are the net's pixels: what is finer than they are is the
    cheapest to leave to a linear map. Halved until ``SMALLEST`` patches are left, and brought back.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, height and width.
    n_classes : int
        C.
    width : int
        Channels; twice as many below the first level.
    """

    def __init__(self, shape: tuple[int, ...], n_classes: int, width: int) -> None:
        super().__init__()
        channels, *sides = shape
        self.patch = 2 * -(-min(sides) // (2 * LARGEST))
        rows, columns = (-side % self.patch for side in sides)
        self.padding = (0, columns, 0, rows)
        self.condition = Condition(n_classes, width)
        side, widths = -(-min(sides) // self.patch), [width]
        while side > SMALLEST:
            side, widths = -(-side // 2), [*widths, 2 * width]
        pairs = list(pairwise(widths))
        self.stem = nn.Conv2d(channels * self.patch**2, width, 3, padding=1)
        self.before = nn.ModuleList(Block(outer, outer, width) for outer, _ in pairs)
        self.down = nn.ModuleList(nn.Conv2d(outer, inner, 3, 2, 1) for outer, inner in pairs)
        self.middle = Block(widths[-1], widths[-1], width)
        self.up = nn.ModuleList(nn.Conv2d(inner, outer, 3, padding=1) for outer, inner in pairs)
        self.after = nn.ModuleList(Block(2 * outer, outer, width) for outer, _ in pairs)
        self.norm = _norm(width)
        self.out = nn.Conv2d(width, channels * self.patch**2, 3, padding=1)

    def forward(self, z: Tensor, log_snr: Tensor, y: Tensor) -> Tensor:
        """Map mixtures (n, c, h, w), ratios (n,) and classes (n,), or one for all (1,), to velocities (n, c, h, w)."""
        told = self.condition(log_snr, y)
        h = self.stem(pixel_unshuffle(pad(z, self.padding), self.patch))
        kept: list[Tensor] = []
        for block, halve in zip(self.before, self.down, strict=True):
            kept.append(block(h, told))
            h = halve(kept[-1])
        h = self.middle(h, told)
        for block, widen, beside in zip(reversed(self.after), reversed(self.up), reversed(kept), strict=True):
            h = interpolate(widen(h), size=beside.shape[2:], mode="nearest")
            h = block(torch.cat([h, beside], 1), told)
        h = pixel_shuffle(self.out(silu(self.norm(h))), self.patch)
        return h[..., : z.shape[2], : z.shape[3]]


class Block(nn.Module):
    """Two convolutions with a residual connection; the conditioning scales and shifts the channels in between.

    Parameters
    ----------
    inner, outer : int
        Channels in and out.
    told : int
        Width of what is told.
    """

    def __init__(self, inner: int, outer: int, told: int) -> None:
        super().__init__()
        self.first, self.second = _norm(inner), _norm(outer)
        self.entry = nn.Conv2d(inner, outer, 3, padding=1)
        self.exit = _silent(nn.Conv2d(outer, outer, 3, padding=1))
        self.told = nn.Linear(told, 2 * outer)
        self.past = nn.Identity() if inner == outer else nn.Conv2d(inner, outer, 1)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Map (n, inner, h, w) and conditioning (n, k) to (n, outer, h, w)."""
        scale, shift = self.told(told)[..., None, None].chunk(2, 1)
        h = self.second(self.entry(silu(self.first(x)))) * (1 + scale) + shift
        return self.past(x) + self.exit(silu(h))


class FeatureDenoiser(nn.Module):
    """Residual blocks of fully connected layers.

    Parameters
    ----------
    n_features, n_classes : int
        d and C.
    width : int
        Of the layers, times 8.
    """

    def __init__(self, n_features: int, n_classes: int, width: int) -> None:
        super().__init__()
        self.condition = Condition(n_classes, width)
        self.stem = nn.Linear(n_features, 8 * width)
        self.blocks = nn.ModuleList(FeatureBlock(8 * width, width) for _ in range(3))
        self.norm = nn.LayerNorm(8 * width)
        self.out = nn.Linear(8 * width, n_features)

    def forward(self, z: Tensor, log_snr: Tensor, y: Tensor) -> Tensor:
        """Map mixtures (n, d), ratios (n,) and classes (n,), or one for all (1,), to velocities (n, d)."""
        told, h = self.condition(log_snr, y), self.stem(z)
        for block in self.blocks:
            h = block(h, told)
        return self.out(silu(self.norm(h)))


class FeatureBlock(nn.Module):
    """The counterpart of ``Block`` for images.

    Parameters
    ----------
    width, told : int
        Of the layers, and of what is told.
    """

    def __init__(self, width: int, told: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.entry, self.exit = nn.Linear(width, width), _silent(nn.Linear(width, width))
        self.told = nn.Linear(told, 2 * width)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Map (n, width) and conditioning (n, k) to (n, width)."""
        scale, shift = self.told(told).chunk(2, 1)
        return x + self.exit(silu(self.entry(self.norm(x) * (1 + scale) + shift)))


def build_denoiser(shape: tuple[int, ...], n_classes: int, width: int) -> PatchDenoiser | FeatureDenoiser:
    """Return a denoiser for images (c, h, w) or features (d,)."""
    if len(shape) == 3:
        return PatchDenoiser(shape, n_classes, width)
    return FeatureDenoiser(shape[0], n_classes, width)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(8, channels), channels)


def _silent(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """Initialise a layer to zero, so that a deep network starts as a shallow one."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
