"""Reader of feature folders, as `longway.embed` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from longway.data.table import Source, Table
from longway.utils.errors import CorruptFileError
from longway.utils.json_input import parse_json
from longway.utils.rules import Whole
from longway.utils.schema import Maybe, misfit
from longway.utils.storage import hash_file

FEATURES = "features.npy"
ROWS = "rows.parquet"
META = "meta.json"
FORMAT = 1

_SCHEMA = {
    "format": int,
    "key": str,
    "shape": [Whole()],
    "dtype": str,
    "backbone": {"name": str, "fingerprint": str},
    "data": {"label": Maybe(str), "split": Maybe(str)},
    "rows": str,
}


def is_cache(folder: Path) -> bool:
    """Return whether a folder is a feature folder; a damaged one counts, so that the error can name it."""
    return (folder / FEATURES).is_file() or ((folder / META).is_file() and (folder / ROWS).is_file())


def read_meta(folder: Path) -> dict[str, Any]:
    """Read the header of a feature folder.

    Raises
    ------
    CorruptFileError
        The file is missing, damaged or of another version.
    """
    path = folder / META
    try:
        meta = parse_json(path.read_bytes() if path.is_file() or not path.exists() else b"")
    except FileNotFoundError as error:
        raise CorruptFileError(f"the feature cache {folder} lacks {META}: {_AGAIN}") from error
    except (ValueError, OSError) as error:
        raise CorruptFileError(f"{path} is damaged ({error}): {_AGAIN}") from error
    if damage := misfit(meta, _SCHEMA):
        raise CorruptFileError(f"{path} lacks {damage.strip('.') or 'all entries'}: {_AGAIN}")
    if meta["format"] != FORMAT:
        raise CorruptFileError(f"{path} has the format {meta['format']}, this version reads {FORMAT}: {_AGAIN}")
    return meta


_AGAIN = "embed again with overwrite=True"


def open_cache(folder: Path) -> Source:
    """Open a feature folder as a source; see `read_cache`."""
    X, table = read_cache(folder)
    return Source(str(folder), table, X)


def read_cache(folder: Path) -> tuple[np.ndarray, Table]:
    """Open features and columns of a feature folder after checking that it is complete.

    Returns
    -------
    X : memmap of shape (n, d)
        Read-only.
    table : Table
        The other columns.

    Raises
    ------
    CorruptFileError
        A file is missing or damaged; the message names it.
    """
    import datasets
    import pyarrow.parquet as pq

    meta = read_meta(folder)
    X = _features(folder / FEATURES, meta)
    path = folder / ROWS
    if not path.is_file():
        raise CorruptFileError(f"the feature cache {folder} lacks {ROWS}: {_AGAIN}")
    try:
        intact = hash_file(path) == meta["rows"]
        table = pq.read_table(path)
        rows = datasets.Dataset(table)
    except Exception as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CorruptFileError(f"{path} is damaged ({line}): {_AGAIN}") from error
    if not intact or len(table) != len(X):
        raise CorruptFileError(f"{path} is not the one that {META} describes: {_AGAIN}")
    label, split = (meta["data"].get(name) for name in ("label", "split"))
    return X, Table(rows, label, split)


def _features(path: Path, meta: dict[str, Any]) -> np.ndarray:
    if not path.is_file():
        raise CorruptFileError(f"the feature cache {path.parent} lacks {FEATURES}: {_AGAIN}")
    try:
        X = np.load(path, mmap_mode="r", allow_pickle=False)
        dtype = np.dtype(meta["dtype"])
    except Exception as error:
        raise CorruptFileError(f"{path} is damaged or cut short ({error}): {_AGAIN}") from error
    if not isinstance(X, np.memmap) or list(X.shape) != meta["shape"] or X.dtype != dtype or X.dtype.kind not in "fiu":
        raise CorruptFileError(
            f"{path} holds {X.dtype} of shape {X.shape}, but {META} says {meta['dtype']} of shape "
            f"{tuple(meta['shape'])}: {_AGAIN}"
        )
    if path.stat().st_size != X.offset + X.nbytes:
        raise CorruptFileError(f"{path} is longer than its header says: {_AGAIN}")
    return X
