"""Class-conditional networks that predict the velocity of a noisy input (see ``functional.diffusion``)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, pixel_shuffle, pixel_unshuffle, silu

# Patches of 2x2 pixels are from docs/experiments/0014-diffusion-classifier.md; the constants are chosen by hand.
MAX_PATCHES = 16
"""Patches along the short side of an image, at most; images of more than 32 pixels have patches of more than 2x2."""

MIN_PATCHES = 4
"""Patches along the short side at which the image is not halved further."""

FREQUENCIES = (0.1, 4.0)
"""Lowest and highest frequency of the sines that encode the log signal-to-noise ratio, in radians."""


class Condition(nn.Module):
    """Encode the signal-to-noise ratio and the class as one vector of a given width."""

    frequencies: Tensor

    def __init__(self, n_classes: int, width: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(n_classes, width)
        self.ratio = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        low, high = (math.log(frequency) for frequency in FREQUENCIES)
        self.register_buffer("frequencies", torch.linspace(low, high, 16).exp())

    def forward(self, log_snr: Tensor, y: Tensor) -> Tensor:
        """Map log ratios (n,) and classes (n,), or one for all (1,), to vectors (n, width)."""
        waves = log_snr.unsqueeze(1) * self.frequencies
        return silu(self.ratio(torch.cat([waves.sin(), waves.cos()], 1)) + self.classes(y))


class PatchDenoiser(nn.Module):
    """A U-net on patches of an image.

    Patches of 2x2 pixels, or more on images of more than 32, are the net's pixels: linear maps into and out of patches
    handle finer detail cheaply. The image is halved until ``MIN_PATCHES`` patches are left, and enlarged again.

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
        self.patch = 2 * -(-min(sides) // (2 * MAX_PATCHES))
        rows, columns = (-side % self.patch for side in sides)
        self.padding = (0, columns, 0, rows)  # to whole patches; ``forward`` crops the result
        self.condition = Condition(n_classes, width)
        side, widths = -(-min(sides) // self.patch), [width]
        while side > MIN_PATCHES:
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
        """Map mixtures (n, c, h, w), log ratios and classes, (n,) or (1,), to velocities (n, c, h, w)."""
        context = self.condition(log_snr, y)
        h = self.stem(pixel_unshuffle(pad(z, self.padding), self.patch))
        skips: list[Tensor] = []
        for block, halve in zip(self.before, self.down, strict=True):
            skips.append(block(h, context))
            h = halve(skips[-1])
        h = self.middle(h, context)
        for block, widen, skip in zip(reversed(self.after), reversed(self.up), reversed(skips), strict=True):
            # An odd side is rounded up when it is halved, so the size comes from the skip connection.
            h = interpolate(widen(h), size=skip.shape[2:], mode="nearest")
            h = block(torch.cat([h, skip], 1), context)
        h = pixel_shuffle(self.out(silu(self.norm(h))), self.patch)
        return h[..., : z.shape[2], : z.shape[3]]


class Block(nn.Module):
    """Two convolutions with a residual connection; the conditioning scales and shifts the channels in between."""

    def __init__(self, inputs: int, outputs: int, context: int) -> None:
        super().__init__()
        self.first, self.second = _norm(inputs), _norm(outputs)
        self.entry = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.exit = _zero_initialized(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.modulation = nn.Linear(context, 2 * outputs)
        self.past = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map (n, inputs, h, w) and conditioning (n, context) to (n, outputs, h, w)."""
        scale, shift = self.modulation(context)[..., None, None].chunk(2, 1)
        h = self.second(self.entry(silu(self.first(x)))) * (1 + scale) + shift
        return self.past(x) + self.exit(silu(h))


class FeatureDenoiser(nn.Module):
    """Three residual blocks of fully connected layers of 8 times the given width, for features (d,)."""

    def __init__(self, n_features: int, n_classes: int, width: int) -> None:
        super().__init__()
        self.condition = Condition(n_classes, width)
        self.stem = nn.Linear(n_features, 8 * width)
        self.blocks = nn.ModuleList(FeatureBlock(8 * width, width) for _ in range(3))
        self.norm = nn.LayerNorm(8 * width)
        self.out = nn.Linear(8 * width, n_features)

    def forward(self, z: Tensor, log_snr: Tensor, y: Tensor) -> Tensor:
        """Map mixtures (n, d), log ratios (n,) and classes (n,), or one for all (1,), to velocities (n, d)."""
        context, h = self.condition(log_snr, y), self.stem(z)
        for block in self.blocks:
            h = block(h, context)
        return self.out(silu(self.norm(h)))


class FeatureBlock(nn.Module):
    """The fully connected counterpart of ``Block``."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.entry, self.exit = nn.Linear(width, width), _zero_initialized(nn.Linear(width, width))
        self.modulation = nn.Linear(context, 2 * width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map (n, width) and conditioning (n, context) to (n, width)."""
        scale, shift = self.modulation(context).chunk(2, 1)
        return x + self.exit(silu(self.entry(self.norm(x) * (1 + scale) + shift)))


def build_denoiser(shape: tuple[int, ...], n_classes: int, width: int) -> PatchDenoiser | FeatureDenoiser:
    """Build a denoiser for images (c, h, w) or features (d,)."""
    if len(shape) == 3:
        return PatchDenoiser(shape, n_classes, width)
    return FeatureDenoiser(shape[0], n_classes, width)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(8, channels), channels)


def _zero_initialized(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """Set a layer to zero, so that its block starts as the identity and a deep network as a shallow one."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
