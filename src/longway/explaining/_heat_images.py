"""Draw saliency maps over images."""

from __future__ import annotations

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from longway.report.images import Pixels

SIDE = 128
"""Smallest side of a picture in pixels."""
_COLOURS = "plasma"
_OPACITY = 0.75
"""Opacity of the colour at the highest heat."""


def enlarged(image: Pixels) -> Pixels:
    """Enlarge an image (h, w, 3) by a whole factor so that both sides are `SIDE` or more.

    Examples
    --------
    >>> enlarged(np.zeros((10, 10, 3), np.uint8)).shape
    (130, 130, 3)
    """
    times = -(-SIDE // min(image.shape[:2]))
    return image.repeat(times, 0).repeat(times, 1)


def overlay(image: Pixels, heat: npt.NDArray[np.floating]) -> Pixels:
    """Lay heat over an image, which becomes grey so that its own colours are not mistaken for heat.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8
    heat : ndarray of shape (i, j)
        From 0 (transparent) to 1.

    Returns
    -------
    ndarray of shape (m * h, m * w, 3), uint8
        As large as `enlarged` returns.
    """
    large = enlarged(image)
    grey = np.asarray(Image.fromarray(large).convert("L"), np.float32)[..., None] / 255
    size = (large.shape[1], large.shape[0])
    smooth = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)).clip(0, 1)
    colour = matplotlib.colormaps[_COLOURS](smooth)[..., :3]
    opacity = _OPACITY * smooth[..., None]
    return np.rint(255 * ((1 - opacity) * grey + opacity * colour)).astype(np.uint8)
