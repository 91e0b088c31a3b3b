"""Images of any mode as three 8-bit channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longway.utils.errors import LongwayError

if TYPE_CHECKING:
    from PIL import Image


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to three 8-bit channels, as a viewer shows it.

    Grey values of 16 bits and floats in [0, 1] are scaled, because PIL would clip them. Transparent images are laid
    over white: no one sees the colours underneath, and a model must not either.

    Raises
    ------
    LongwayError
        The image holds numbers whose range is not known.
    """
    from PIL import Image as Module

    if image.mode.startswith(("I", "F")):
        image = Module.fromarray(_bytes(np.asarray(image, np.float64), image.mode))
    if image.mode == "RGB":
        return image
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Module.alpha_composite(Module.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _bytes(values: np.ndarray, mode: str) -> np.ndarray:
    """Scale grey values to bytes."""
    low, high = float(values.min()), float(values.max())
    # "I" is of 32 bits, "I;16" and its like of 16
    largest = 1.0 if mode == "F" else 255.0 if mode == "I" and high <= 255 else 65535.0
    if not (low >= -0.01 * largest and high <= 1.01 * largest):
        raise LongwayError(
            f"an image of mode {mode} holds values from {low:g} to {high:g}, whose range is not known: save it with 8 "
            "or 16 bits, or as floats in [0, 1]"
        )
    return np.floor(values / (largest / 255) + 1e-9).clip(0, 255).astype(np.uint8)  # 65535 / 255 = 257 is exact
