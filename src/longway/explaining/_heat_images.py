"""Pictures of where a network looks."""

from __future__ import annotations

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from longway.report.images import Pixels

SIDE = 128
"""Pixels a side of a picture, at least."""
_COLOURS = "plasma"
_SHARE = 0.75
"""Share of the colour where the heat is highest."""


def enlarged(image: Pixels) -> Pixels:
    """Return an image (h, w, 3) enlarged by a whole number, pixel by pixel, to `SIDE` or more.

    Examples
    --------
    >>> enlarged(np.zeros((10, 10, 3), np.uint8)).shape
    (130, 130, 3)
    """
    times = -(-SIDE // min(image.shape[:2]))
    return image.repeat(times, 0).repeat(times, 1)


def overlay(image: Pixels, heat: npt.NDArray[np.floating]) -> Pixels:
    """Lay heat over an image, which loses its own colours so that none is taken for heat.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8
    heat : ndarray of shape (i, j)
        From 0 (left as it is) to 1.

    Returns
    -------
    ndarray of shape (m * h, m * w, 3), uint8
        As large as `enlarged` makes it.
    """
    large = enlarged(image)
    grey = np.asarray(Image.fromarray(large).convert("L"), np.float32)[..., None] / 255
    size = (large.shape[1], large.shape[0])
    smooth = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)).clip(0, 1)
    colour = matplotlib.colormaps[_COLOURS](smooth)[..., :3]
    share = _SHARE * smooth[..., None]
    return np.rint(255 * ((1 - share) * grey + share * colour)).astype(np.uint8)
