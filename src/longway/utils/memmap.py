"""Arrays in memory-mapped files."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK_BYTES, BLOCKS = 2 * 2**20, 32
"""Size of the blocks that a system may read around one row, and the number of such blocks held at a time."""


@dataclass(frozen=True)
class MemmapRef:
    """The location of an array in a file, from which another process can map it.

    Parameters
    ----------
    path : str
    dtype : numpy dtype
    shape : tuple of int
    offset : int
        Bytes of the file before it.
    """

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def find(cls, array: np.ndarray) -> MemmapRef | None:
        """Return the location of an array that is all or a contiguous part of a file."""
        root = _root(array)
        if root is None or root.filename is None or not array.flags.c_contiguous:
            return None
        offset = root.offset + array.ctypes.data - root.ctypes.data
        return cls(str(root.filename), array.dtype, array.shape, offset)

    def open(self) -> np.ndarray:
        """Map the array read-only."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def read(array: np.ndarray, rows: np.ndarray | slice, dtype: Any) -> np.ndarray:
    """Return rows in this dtype, in writable memory; from a file, only few pages are held at a time.

    Parameters
    ----------
    array : ndarray of shape (n, ...)
    rows : ndarray of int, or slice
        Rows that are scattered over a file bring in the pages around each of them.
    dtype : NumPy type

    Returns
    -------
    ndarray of shape (m, ...)
        A view where nothing has to change.
    """
    if _root(array) is None or isinstance(rows, slice):
        chunk = array[rows]
        found = chunk.astype(dtype, order="C", copy=not chunk.flags.writeable)
        release(array)
        return found
    found = np.empty((len(rows), *array.shape[1:]), dtype)
    order = rows.argsort(kind="stable")
    blocks = len(np.unique(rows * (array.nbytes // len(array)) // BLOCK_BYTES))
    step = max(1, BLOCKS * len(rows) // max(1, blocks))
    for start in range(0, len(rows), step):
        few = order[start : start + step]
        found[few] = array[rows[few]]
        release(array)
    return found


def release(array: np.ndarray) -> None:
    """Release the pages read from a read-only mapped file; they stay in the system's cache.

    A process that reads through a file holds all of it else, until the system takes pages back.
    """
    root = _root(array)
    if root is not None and root.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
        root.base.madvise(mmap.MADV_DONTNEED)


def _root(array: np.ndarray) -> Any:
    """Return the memory map that an array is a view of, None if it is not."""
    root: Any = array
    while isinstance(root, np.ndarray) and not isinstance(root.base, mmap.mmap):
        root = root.base
    return root if isinstance(root, np.memmap) else None
