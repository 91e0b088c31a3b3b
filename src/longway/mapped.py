"""Arrays that lie in memory-mapped files."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class OnDisk:
    """Where an array lies in a file, from which another process can map it.

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
    def find(cls, array: np.ndarray) -> OnDisk | None:
        """Return where an array lies, if it is all or a contiguous part of a named file."""
        root = _root(array)
        if root is None or root.filename is None or not array.flags.c_contiguous:
            return None
        offset = root.offset + array.ctypes.data - root.ctypes.data
        return cls(str(root.filename), array.dtype, array.shape, offset)

    def open(self) -> np.ndarray:
        """Map the array, to be read only."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def release(array: np.ndarray) -> None:
    """Let go of the pages that have been read of a file mapped to be read only, which stay in the system's cache.

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
