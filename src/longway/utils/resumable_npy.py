"""A feature file that grows batch by batch and can be resumed after its writer was killed."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy

from longway.utils.json_input import parse_json
from longway.utils.storage import is_full, new_hash, write_json

JOURNAL = "progress.json"
SAVE_SECONDS = 5.0
"""Seconds between syncs: a sync takes milliseconds, a batch may take as little."""

_CHUNK_BYTES = 2**24


def drop_rows(path: Path, rows: Sequence[int]) -> int:
    """Rewrite an npy file (n, d) without some rows, with plain writes; return the number that is left."""
    X = np.load(path, mmap_mode="r")
    kept = np.delete(np.arange(len(X)), rows)
    partial = path.with_suffix(".kept")
    step = max(1, _CHUNK_BYTES // max(1, X[:1].nbytes))
    with partial.open("wb") as file:
        header = {"descr": npy.dtype_to_descr(X.dtype), "fortran_order": False, "shape": (len(kept), *X.shape[1:])}
        npy.write_array_header_2_0(file, header)
        for start in range(0, len(kept), step):
            file.write(np.ascontiguousarray(X[kept[start : start + step]]).data)
    partial.replace(path)
    return len(kept)


class ResumableNpy:
    """An npy file (n, d) with a journal of its complete rows and their hash.

    Rows that the journal does not count are never read: they are cut off when the file is opened again, and so is
    everything where the rest is not what the journal says.

    Parameters
    ----------
    path : Path
        The npy file; the journal is next to it.
    n : int
        Rows that it will have.
    dtype : numpy dtype

    Attributes
    ----------
    rows : int
        Rows that are written.
    width : int or None
        d, as soon as there is a row.
    """

    def __init__(self, path: Path, n: int, dtype: np.dtype) -> None:
        self.path, self.n, self.dtype = path, n, dtype
        self.rows = 0
        self.width: int | None = None
        self._journal = path.with_name(JOURNAL)
        self._hash = new_hash()
        self._saved_rows, self._saved_at = 0, time.monotonic()

    def __enter__(self) -> Self:
        known = self._known()
        whole = self._rehash(*known) if known is not None else 0
        if not whole:
            self._hash = new_hash()
        self._file = self.path.open("r+b" if whole else "wb")
        self._file.truncate(whole)
        self._file.seek(whole)
        if whole and known is not None:
            self.rows, self.width, _ = known
            self._saved_rows = self.rows
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None or not is_full(error):
                self.save()
        finally:
            self._file.close()
        if self.rows == 0:
            self.path.unlink()
            self._journal.unlink(missing_ok=True)

    def append(self, features: np.ndarray) -> None:
        """Write features (k, d), and sync them if it is time."""
        if self.width is None:
            self.width = features.shape[1]
            self._put(self._header(self.width))
        self._put(np.ascontiguousarray(features, self.dtype).data)
        self.rows += len(features)
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Make all rows so far durable."""
        if self.rows > self._saved_rows:
            self._file.flush()
            os.fsync(self._file.fileno())  # before the journal counts them
            write_json(self._journal, {"rows": self.rows, "width": self.width, "hash": self._hash.hexdigest()})
        self._saved_rows, self._saved_at = self.rows, time.monotonic()

    def _put(self, content: Any) -> None:
        self._file.write(content)
        self._hash.update(content)

    def _header(self, width: int) -> bytes:
        buffer = io.BytesIO()
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.n, width)}
        npy.write_array_header_2_0(buffer, header)
        return buffer.getvalue()

    def _known(self) -> tuple[int, int, str] | None:
        """Return rows, width and hash from the journal; None without a usable one."""
        try:
            record = parse_json(self._journal.read_bytes())
            rows, width, digest = int(record["rows"]), int(record["width"]), str(record["hash"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None
        return (rows, width, digest) if 0 < rows <= self.n and width > 0 else None

    def _rehash(self, rows: int, width: int, digest: str) -> int:
        """Return the number of bytes that match the journal: all that it counts, or 0."""
        whole = len(self._header(width)) + rows * width * self.dtype.itemsize
        left = whole
        try:
            with self.path.open("rb") as file:
                while left and (piece := file.read(min(left, _CHUNK_BYTES))):
                    self._hash.update(piece)
                    left -= len(piece)
        except FileNotFoundError:
            return 0
        return whole if not left and self._hash.hexdigest() == digest else 0
