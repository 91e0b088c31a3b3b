"""Image files as one array, for methods trained end to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from longway.backbones import Transform
from longway.data import GroupedDataset, ImageColumn
from longway.data.skipping import check_skipped, warn_skipped
from longway.data.validation import check_images
from longway.utils.errors import LongwayError
from longway.utils.storage import scratch_array

BATCH = 256


def pixels(data: GroupedDataset, transform: Transform, *, max_skipped: float = 0) -> GroupedDataset:
    """Decode and resize all images.

    Parameters
    ----------
    data : GroupedDataset
        X is a column of images, or an array of them.
    transform : Transform
        Its ``size`` is the side of the square that images are resized to; None keeps their own size, which must be the
        same for all.
    max_skipped : float, default 0
        Share of the images that may be unreadable; they are left out, with a warning.

    Returns
    -------
    GroupedDataset
        The same samples; X is uint8 of shape (n, 3, size, size). An array that has this size already is not changed.

    Raises
    ------
    LongwayError
        If the images differ in size and ``transform`` has none.
    CorruptFileError
        If more than ``max_skipped`` of the images cannot be read, or all.

    Warns
    -----
    LongwayWarning
        Images are left out.
    """
    size = transform.size
    if isinstance(data.X, np.ndarray):
        if size is None or (transform.crop is None and data.X.shape[2:] == (size, size)):
            return data
        return replace(data, X=_resized(data.X, transform, size))
    if not isinstance(data.X, ImageColumn):
        raise LongwayError(f"{data.source} holds {data.kind}, not images")
    if size is None:
        shapes = set(data.X.sizes(skip_broken=max_skipped > 0)) or {(1, 1)}
        if len(shapes) > 1:
            raise LongwayError(f"{data.source} holds images of {len(shapes)} different sizes: choose one with size=")
        width, height = shapes.pop()
    else:
        width = height = size
    out = scratch_array((len(data), 3, height, width), np.dtype(np.uint8))
    skipped: list[tuple[int, str]] = []
    for start in range(0, len(data), BATCH):
        where = np.arange(start, min(start + BATCH, len(data)))
        images, readable, broken = data.X.read_some(where, min_size=transform.min_size)
        skipped += broken
        check_skipped([reason for _, reason in skipped], len(data), max_skipped)
        if readable:
            out[readable] = transform.stack(images).numpy()
    if not skipped:
        return replace(data, X=out)
    warn_skipped(data.source, [reason for _, reason in skipped], len(data))
    return replace(data, X=out).take(np.delete(np.arange(len(data)), [row for row, _ in skipped]))


def _resized(X: np.ndarray, transform: Transform, size: int) -> np.ndarray:
    """Resize an array of images (n, c, h, w) to (n, c, size, size)."""
    out = scratch_array((*X.shape[:2], size, size), np.dtype(np.float32))
    for start in range(0, len(X), BATCH):
        out[start : start + BATCH] = transform.fit(torch.from_numpy(check_images(X[start : start + BATCH], "X")))
    return out
