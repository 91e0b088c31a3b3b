"""Image preprocessing for backbones: resizing, cropping, three channels, standardisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from longway.utils.errors import LongwayError, nearest
from longway.utils.pixels import as_rgb
from longway.utils.rules import UP_TO_ONE

if TYPE_CHECKING:
    from PIL import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of each channel over ImageNet, which most image encoders expect to be subtracted."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of each channel over ImageNet, by which most image encoders expect to be divided."""
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
"""Ways to resize images."""
TRANSFORM_OPTIONS = ("size", "mean", "std", "crop", "interpolation")


@dataclass(frozen=True)
class Transform:
    """The preprocessing that turns images into the input of a backbone.

    Parameters
    ----------
    size : int, optional
        Side in pixels of the square input of a backbone. None keeps the images' own size.
    mean, std : (float, float, float)
        Mean and standard deviation per channel, for values in [0, 1].
    crop : float, optional
        Fraction of the shorter side that the central crop keeps: the shorter side is resized to ``size / crop`` pixels
        and the central square cut out. None resizes the whole image to the square, without regard to its aspect
        ratio.
    interpolation : {"bilinear", "bicubic", "nearest"}, default "bilinear"
    """

    size: int | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    crop: float | None = None
    interpolation: str = "bilinear"

    @property
    def min_size(self) -> int | None:
        """Smallest side to which decoding may reduce a JPEG: twice the target, so that resizing loses nothing."""
        return None if self.size is None else 2 * self._shorter(self.size)

    def stack(self, images: Sequence[Image.Image]) -> Tensor:
        """Resize images and stack them.

        Returns
        -------
        Tensor of shape (N, 3, size, size), uint8
            In the memory format ``channels_last``, the layout of decoded images.
        """
        arrays = [np.asarray(self._squared(as_rgb(image))) for image in images]
        shapes = sorted({array.shape[:2] for array in arrays})
        if len(shapes) > 1:
            raise LongwayError(f"images of different sizes in one batch ({shapes[0]} and {shapes[-1]}): set size=")
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)

    def fit(self, batch: Tensor) -> Tensor:
        """Resize and crop a batch of arrays (N, c, H, W) like `stack`.

        Returns
        -------
        Tensor of shape (N, c, size, size)
            Floats in [0, 1] if the images were resized, else of the batch's own type.
        """
        if self.size is None:
            return batch
        height, width = self._target(batch.shape[2], batch.shape[3], self.size)
        if (height, width) != tuple(batch.shape[2:]):
            x = batch.float().div_(255) if batch.dtype == torch.uint8 else batch.float()
            smooth = self.interpolation != "nearest"
            mode = self.interpolation if smooth else "nearest-exact"
            batch = interpolate(x, (height, width), mode=mode, antialias=smooth)
            if self.interpolation == "bicubic":  # bicubic overshoots at edges
                batch = batch.clamp(0, 1)
        top, left = (height - self.size) // 2, (width - self.size) // 2
        return batch[:, :, top : top + self.size, left : left + self.size]

    def scale(self, batch: Tensor) -> Tensor:
        """Resize and standardise a batch (N, 1 or 3, H, W) of uint8, or of floats in [0, 1]."""
        if self.size is not None and batch.shape[2:] != (self.size, self.size):
            batch = self.fit(batch)
        top = 255.0 if batch.dtype == torch.uint8 else 1.0
        x = batch.float()
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        # As rows of W * 3 numbers with alternating channels: ten times faster than broadcasting three numbers in
        # channels_last.
        rows = x.permute(0, 2, 3, 1).contiguous().flatten(2)
        mean, std = (top * torch.tensor(v, device=x.device).repeat(x.shape[3]) for v in (self.mean, self.std))
        return rows.sub(mean).div_(std).unflatten(2, (x.shape[3], 3)).permute(0, 3, 1, 2)

    def _shorter(self, size: int) -> int:
        """Return the length of the shorter side before cropping."""
        return size if self.crop is None else round(size / self.crop)

    def _target(self, height: int, width: int, size: int) -> tuple[int, int]:
        """Return height and width of an image after resizing, before cropping."""
        if self.crop is None:
            return size, size
        resized, shorter = self._shorter(size), min(height, width)
        return max(resized, height * resized // shorter), max(resized, width * resized // shorter)

    def _squared(self, image: Image.Image) -> Image.Image:
        if self.size is None:
            return image
        from PIL import Image as Module

        height, width = self._target(image.height, image.width, self.size)
        if image.size != (width, height):
            image = image.resize((width, height), Module.Resampling[self.interpolation.upper()])
        if image.size == (self.size, self.size):
            return image
        top, left = (height - self.size) // 2, (width - self.size) // 2
        return image.crop((left, top, left + self.size, top + self.size))


def make_transform(options: dict[str, Any]) -> Transform:
    """Create a transform from ``TRANSFORM_OPTIONS``; mean and std default to ImageNet's.

    Raises
    ------
    LongwayError
        If an option is out of range.
    """
    crop, interpolation = options.get("crop"), options.get("interpolation", "bilinear")
    if interpolation not in INTERPOLATIONS:
        raise LongwayError(
            f"interpolation={interpolation!r} of the backbone is unknown; {nearest(str(interpolation), INTERPOLATIONS)}"
        )
    if crop is not None and not UP_TO_ONE.accepts(crop):
        raise LongwayError(f"crop={crop!r} of the backbone must be {UP_TO_ONE.words}")
    return Transform(
        _side(options.get("size")),
        _channels("mean", options.get("mean", IMAGENET_MEAN)),
        _channels("std", options.get("std", IMAGENET_STD)),
        None if crop is None else float(crop),
        interpolation,
    )


def _side(value: Any) -> int | None:
    if value is None:
        return None
    sides = set(value) if isinstance(value, list | tuple) else {value}
    if len(sides) != 1 or not all(isinstance(side, int | np.integer) and side > 0 for side in sides):
        raise LongwayError(f"size={value!r} of the backbone must be one whole number of pixels, the side of a square")
    return int(sides.pop())


def _channels(name: str, value: Any) -> tuple[float, ...]:
    try:
        numbers = np.ravel(np.asarray(value, dtype=float)).tolist()
    except (TypeError, ValueError):
        numbers = []
    numbers = numbers * 3 if len(numbers) == 1 else numbers
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or (name == "std" and min(numbers) <= 0):
        wanted = "one number or three" + (", above 0" if name == "std" else "")
        raise LongwayError(f"{name}={value!r} of the backbone must be {wanted}")
    return tuple(numbers)
