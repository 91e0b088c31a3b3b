"""Images on disk as one array, for methods that are trained end to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longway.backbones import Transform
from longway.data import GroupedDataset, ImageColumn
from longway.errors import LongwayError
from longway.storage import scratch_array

PIECE = 256


def pixels(data: GroupedDataset, size: int | None = None) -> GroupedDataset:
    """Decode and resize all images.

    Parameters
    ----------
    data : GroupedDataset
        Its X is a column of images.
    size : int, optional
        Side of the square that each is resized to; their own size where all are equal, if not given.

    Returns
    -------
    GroupedDataset
        The same rows; X is uint8 of shape (n, 3, size, size).

    Raises
    ------
    LongwayError
        If the images differ in size and none is given.
    """
    if not isinstance(data.X, ImageColumn):
        raise LongwayError(f"{data.source} holds {data.kind}, not images to decode")
    if size is None:
        shapes = set(data.X.sizes())
        if len(shapes) > 1:
            raise LongwayError(f"{data.source} holds images of {len(shapes)} different sizes: give --size (size=)")
        width, height = shapes.pop()
    else:
        width = height = size
    out = scratch_array((len(data), 3, height, width), np.dtype(np.uint8))
    transform = Transform(size)
    for start in range(0, len(data), PIECE):
        where = np.arange(start, min(start + PIECE, len(data)))
        out[where] = transform.stack(data.X.read(where, least=size)).numpy()
    return replace(data, X=out)
