"""Inputs and columns of an npz file, which is read in chunks and never unpickled."""

from __future__ import annotations

import math
import warnings
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np
from numpy.lib import format as npy

from longway.data.table import ROW_ID, Source, Table
from longway.utils.errors import CorruptFileError, LongwayError, LongwayWarning, nearest
from longway.utils.storage import scratch_array

_PIECE_BYTES = 2**24
_COLUMN_KINDS = "biufUSMm"


def open_npz(path: Path, input: str | None = None) -> Source:
    """Open an npz file.

    Parameters
    ----------
    path : Path
        The file.
    input : str, optional
        Name of the array of inputs, default "X": features (n, d), or images (n, h, w), (n, c, h, w) or (n, h, w, c).

    Returns
    -------
    Source
        All arrays of shape (n,) are columns, except those of Python objects, complex or structured values; "y" is the
        label if there is one.

    Raises
    ------
    LongwayError
        The inputs are missing, or hold no numbers.
    CorruptFileError
        The file is damaged.
    """
    import datasets

    try:
        with zipfile.ZipFile(path) as archive:
            items = [item for item in archive.namelist() if item.endswith(".npy")]
            names = {Path(item).stem: item for item in items}
            if len(names) < len(items):
                raise CorruptFileError(f"{path} holds two arrays of one name: write it again")
            wanted = input or next((name for name in ("X", "x") if name in names), "X")
            if wanted not in names:
                known = nearest(wanted, names) if names else "it has no arrays"
                raise LongwayError(f"{path} has no array {wanted!r} for the inputs; {known}; choose one with input=")
            heads = {name: _head(archive, item, path) for name, item in names.items()}
            shapes = {name: shape for name, (shape, _) in heads.items()}
            n = shapes[wanted][0] if shapes[wanted] else 0
            beside = {name for name in names if name != wanted and shapes[name] == (n,)}
            unusable = {name: reason for name in beside if (reason := _unusable(heads[name][1]))}
            columns = {
                name: _as_column(_read(archive, item, path))
                for name, item in names.items()
                if name in beside - unusable.keys()
            }
            X = _as_inputs(_read(archive, names[wanted], path), wanted, path)
    # RuntimeError is zipfile's for members that are encrypted or compressed in a way that no npz is.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise CorruptFileError(f"{path} cannot be read as npz ({error}): is it damaged? Write it again") from error
    if n == 0:
        raise LongwayError(f"{path} has no rows in {wanted!r}: write it again")
    rows = datasets.Dataset.from_dict({ROW_ID: np.arange(n), **columns})
    lengths = {name: shape[0] for name, shape in shapes.items() if len(shape) == 1 and shape != (n,)}
    has_label = "y" in columns or "y" in unusable or (input is None and "y" in lengths)
    shaped = {name: shape for name, shape in shapes.items() if name != wanted and len(shape) != 1}
    unusable |= {name: f"has shape {shape}: a column must have shape ({n},)" for name, shape in shaped.items()}
    if "y" in shaped:
        warnings.warn(
            f"{path}: the array y is not taken for the label, as it {unusable['y']}", LongwayWarning, stacklevel=4
        )
    label = "y" if has_label else None
    return Source(str(path), Table(rows, label, other_lengths=lengths, unusable=unusable), X)


def _unusable(dtype: np.dtype) -> str | None:
    """Return the reason why an array cannot be a column; None if it can."""
    if dtype.hasobject:
        return "holds Python objects, which are never unpickled: save it as numbers or strings: array.astype(str)"
    return None if dtype.kind in _COLUMN_KINDS else f"holds {dtype} values: save it as numbers or strings"


def _as_column(array: np.ndarray) -> np.ndarray:
    """Return an array in a type that Arrow takes: native byte order, text instead of bytes."""
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array


def is_exact(values: np.ndarray, dtype: np.typing.DTypeLike) -> bool:
    """Return whether numbers in a narrower float type keep their differences, to 1e-5 of the range of each column."""
    if not len(values):
        return True
    wide = values.astype(np.float64)
    finite = np.isfinite(wide)
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.where(finite, np.abs(wide - wide.astype(dtype).astype(np.float64)), 0).max(0)
        low, high = (np.where(finite, wide, other) for other in (np.inf, -np.inf))
        span = high.max(0) - low.min(0)
    return bool(np.all(np.isfinite(error) & ((error <= 1e-5 * span) | (span <= 0) & (error <= 1e-5))))


def _header(file: IO[bytes], name: str, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, OverflowError, TokenError) as error:
        raise CorruptFileError(f"the array {name!r} of {path} is damaged ({error}): write the file again") from error
    return shape, fortran, dtype


def _head(archive: zipfile.ZipFile, item: str, path: Path) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(item) as file:
        shape, _, dtype = _header(file, Path(item).stem, path)
    return shape, dtype


def _read(archive: zipfile.ZipFile, item: str, path: Path) -> np.ndarray:
    """Read an array in chunks, into a scratch file if it is large, and verify the checksum of the zip entry."""
    name = Path(item).stem
    with archive.open(item) as file:
        shape, fortran, dtype = _header(file, name, path)
        if dtype.hasobject:
            raise LongwayError(
                f"the array {name!r} of {path} holds Python objects, which are never unpickled: save it as numbers or "
                "strings, such as array.astype(str)"
            )
        size = math.prod(shape) * dtype.itemsize
        if not 0 <= size <= archive.getinfo(item).file_size:
            raise CorruptFileError(f"the array {name!r} of {path} is cut short: write the file again")
        flat = scratch_array((int(np.prod(shape, dtype=np.int64)),), dtype)
        view = flat.view(np.uint8) if flat.size else flat
        done = 0
        while done < flat.nbytes:
            piece = file.read(min(_PIECE_BYTES, flat.nbytes - done))
            if not piece:
                raise CorruptFileError(f"the array {name!r} of {path} is cut short: write the file again")
            view[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
            done += len(piece)
        file.read(1)  # the end of the file is where the checksum is compared
    return flat.reshape(shape, order="F" if fortran else "C")


def _as_inputs(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Bring features to a float dtype and images to float (n, c, h, w) in [0, 1]."""
    if array.dtype.kind not in "fiub":
        raise LongwayError(f"the array {name!r} of {path} holds {array.dtype} values: inputs must be numbers")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.ndim == 2:
        if array.dtype.kind == "f":
            return array
        return array.astype(np.float32 if array.dtype.kind == "b" or is_exact(array, np.float32) else np.float64)
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = np.moveaxis(array, 3, 1)
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise LongwayError(
            f"the array {name!r} of {path} has the shape {array.shape}: give features (n, d), or images (n, h, w), "
            "(n, c, h, w) or (n, h, w, c) with 1 or 3 channels"
        )
    if array.dtype.kind == "f":
        return array
    out = scratch_array(array.shape, np.float32)
    scale = {1: 255, 2: 65535}[array.dtype.itemsize] if array.dtype in (np.uint8, np.uint16) else 1
    for start in range(0, len(array), 1024):
        np.divide(array[start : start + 1024], scale, out=out[start : start + 1024], casting="unsafe")
    return out
