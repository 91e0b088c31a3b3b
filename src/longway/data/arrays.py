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
from longway.utils.errors import CorruptFileError, LongwayError, nearest
from longway.utils.storage import scratch_array

_PIECE_BYTES = 2**24


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
        All arrays of shape (n,) are columns; "y" is the label if there is one.

    Raises
    ------
    LongwayError
        An array is missing, has another length than the inputs, or holds Python objects.
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
            shapes = {name: _shape(archive, item, path) for name, item in names.items()}
            n = shapes[wanted][0] if shapes[wanted] else 0
            kinds = {name: _kind(archive, item, path) for name, item in names.items()}
            columns = {
                name: _read(archive, item, path)
                for name, item in names.items()
                if name != wanted and shapes[name] == (n,) and kinds[name] in "biufSU"
            }
            X = _as_inputs(_read(archive, names[wanted], path), wanted, path)
    # RuntimeError is zipfile's for members that are encrypted or compressed in a way that no npz is.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise CorruptFileError(f"{path} cannot be read as npz ({error}): is it damaged? Write it again") from error
    if n == 0:
        raise LongwayError(f"{path} has no rows in {wanted!r}: write it again")
    rows = datasets.Dataset.from_dict({ROW_ID: np.arange(n), **columns})
    unusable = {
        name: _unusable(name, shapes[name], kinds[name], n) for name in names.keys() - columns.keys() - {wanted}
    }
    label = "y" if "y" in columns or (input is None and len(shapes.get("y", ())) == 1) else None
    if label is None and "y" in unusable:
        warnings.warn(f"the array y of {path} is not taken for the label: {unusable['y']}", stacklevel=4)
    return Source(str(path), Table(rows, label, unusable=unusable), X)


def _unusable(name: str, shape: tuple[int, ...], kind: str, n: int) -> str:
    """Say why an array of an npz is no column."""
    if kind == "O":
        return f"{name!r} holds Python objects, which are never unpickled: save it as numbers or strings"
    if len(shape) == 1 and shape[0] != n:
        return f"the arrays differ in length: {name!r} has {shape[0]} rows, the inputs have {n}"
    if shape != (n,):
        return f"{name!r} has shape {shape}; a column must have shape ({n},)"
    return f"{name!r} holds values that are neither numbers nor strings"


def _header(file: IO[bytes], name: str, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, OverflowError, TokenError) as error:
        raise CorruptFileError(f"the array {name!r} of {path} is damaged ({error}): write the file again") from error
    return shape, fortran, dtype


def _shape(archive: zipfile.ZipFile, item: str, path: Path) -> tuple[int, ...]:
    with archive.open(item) as file:
        return _header(file, Path(item).stem, path)[0]


def _kind(archive: zipfile.ZipFile, item: str, path: Path) -> str:
    with archive.open(item) as file:
        dtype = _header(file, Path(item).stem, path)[2]
    return "O" if dtype.hasobject else dtype.kind


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
    if not dtype.isnative:
        flat = flat.astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if fortran else "C")


def _as_inputs(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Bring features to a float dtype and images to float (n, c, h, w) in [0, 1]."""
    if array.dtype.kind not in "fiub":
        raise LongwayError(f"the array {name!r} of {path} holds {array.dtype} values: inputs must be numbers")
    if array.ndim == 2:
        return array if array.dtype.kind == "f" else array.astype(np.float32)
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
