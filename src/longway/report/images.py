"""Arrays of images as pixels and as data URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from longway.utils.errors import LongwayError

Pixels = npt.NDArray[np.uint8]

TINY = 64
"""Largest side, in pixels, of images that are enlarged pixel by pixel."""

_SLACK = 0.02


def to_pixels(images: npt.ArrayLike, argument: str = "images") -> Pixels:
    """Return images as RGB bytes of shape (n, h, w, 3).

    Parameters
    ----------
    images : array-like of shape (n, h, w, c) or (n, c, h, w), c = 1 or 3
        Bytes, or floats in [0, 1] (2 % beyond is clipped, for decoders overshoot). Where both
        shapes fit, channels first is taken.
    argument : str
        Its name in error messages.

    Raises
    ------
    LongwayError
        If the shape, the type or the range does not fit.

    Examples
    --------
    >>> to_pixels(np.ones((2, 1, 8, 8))).shape
    (2, 8, 8, 3)
    """
    array = np.asarray(images)
    if array.ndim != 4 or 0 in array.shape or not {array.shape[1], array.shape[3]} & {1, 3}:
        raise LongwayError(f"{argument} has shape {array.shape}; it must be (n, h, w, 3) or (n, 3, h, w)")
    if array.shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    if array.dtype != np.uint8:
        array = _to_bytes(array, argument)
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:3], 3)))


def shrink(image: Pixels, side: int) -> Pixels:
    """Return the image (h, w, 3), scaled down so that neither side exceeds ``side`` pixels."""
    if max(image.shape[:2]) <= side:
        return image
    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def data_uri(image: Pixels) -> str:
    """Return an image (h, w, 3) as a data URI: exact PNG if it is tiny, else JPEG, a tenth of the size."""
    stream = io.BytesIO()
    picture = Image.fromarray(image)
    if max(image.shape[:2]) <= TINY:
        picture.save(stream, "PNG", optimize=True)
        kind = "png"
    else:
        picture.save(stream, "JPEG", quality=85, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _to_bytes(array: npt.NDArray[np.generic], argument: str) -> Pixels:
    if array.dtype.kind != "f":
        raise LongwayError(f"{argument} has type {array.dtype}; it must be bytes (uint8) or floats in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if not (low >= -_SLACK and high <= 1 + _SLACK):
        raise LongwayError(f"{argument} ranges from {low:g} to {high:g}; floats must lie in [0, 1]")
    return np.rint(np.clip(array.astype(np.float32), 0, 1) * 255).astype(np.uint8)
