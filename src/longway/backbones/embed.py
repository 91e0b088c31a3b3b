"""Feature folders: the features of a data set, computed once by a backbone."""

from __future__ import annotations

import datetime
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor

from longway._version import __version__
from longway.backbones import Backbone
from longway.data import GroupedDataset, ImageColumn, Table
from longway.data import read as read_data
from longway.data.feature_folder import FEATURES, FORMAT, META, ROWS, is_cache, read_cache, read_meta
from longway.data.table import ROW_ID
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.progress import progress
from longway.utils.resumable_npy import ResumableNpy
from longway.utils.storage import (
    atomic_directory,
    atomic_file,
    cache_root,
    hash_json,
    new_hash,
    sole_writer,
    write_json,
)

if TYPE_CHECKING:
    import pyarrow as pa

DTYPES = ("float16", "float32")


def embed(
    dataset: GroupedDataset,
    backbone: Backbone,
    *,
    out: str | Path | None = None,
    dtype: Literal["float16", "float32"] = "float16",
    batch_size: int = 64,
    overwrite: bool = False,
    workers: int | None = None,
    verbose: int = 1,
) -> GroupedDataset:
    """Run all inputs through a backbone and store the features on disk.

    Parameters
    ----------
    dataset : GroupedDataset
        Images or texts. Needs no labels; all other columns of its source are kept beside the features, so that labels,
        attributes and splits are chosen when the cache is read.
    backbone : Backbone
        From `longway.backbones.load_backbone`.
    out : str or Path, optional
        Folder for the features; by default one named by their key, below ``$LONGWAY_CACHE`` or the user's cache.
    dtype : {"float16", "float32"}, default "float16"
        How features are stored.
    batch_size : int, default 64
        Inputs a forward pass.
    overwrite : bool, default False
        Replace a cache in ``out`` that holds other features.
    workers : int, optional
        Threads that decode and resize ahead of the backbone; by default the number of cores, 8 at most.
    verbose : int, default 1
        0 shows no progress bar.

    Returns
    -------
    GroupedDataset
        The same rows; X is a read-only memmap of shape (n, d).

    Raises
    ------
    LongwayError
        An option is out of range, the inputs are features already, ``out`` holds something else, the backbone fails,
        the features overflow float16, or the disk is full.
    CorruptFileError
        An input does not decode, or the cache in ``out`` is damaged.

    Notes
    -----
    The key is the hash of weights, transform and code of the backbone, of the inputs' content and of ``dtype``. Where
    ``out`` holds features of the same key, nothing is computed. A folder appears under its name only when it is whole.
    What was finished before the process was killed or interrupted is kept beside it, in a folder whose name begins with
    a dot; the same call goes on from there. Processes that embed into the same folder wait for each other.
    """
    if dtype not in DTYPES:
        raise LongwayError(f"dtype={dtype!r} must be one of {', '.join(DTYPES)}")
    if batch_size < 1 or (workers is not None and workers < 1):
        raise LongwayError(f"batch_size={batch_size} and workers={workers} must be at least 1")
    if dataset.kind == "features":
        raise LongwayError(f"{dataset.source} holds features already: there is nothing to embed; use it as it is")
    if len(dataset) == 0:
        raise LongwayError(f"{dataset.source} has no rows to embed")
    backbone = _with_size(backbone, dataset)
    key = hash_json([backbone.fingerprint, dataset.input_fingerprint, dtype])
    folder = cache_root() / "features" / key if out is None else Path(out).expanduser()
    rows = _rows_file(dataset)
    if not _holds(folder, key, overwrite):
        with sole_writer(folder):
            if not _holds(folder, key, overwrite):  # it may have had to wait for who wrote just these
                _make(folder, key, rows, dataset, backbone, np.dtype(dtype), batch_size, workers, verbose)
    if read_meta(folder)["rows"] != _hash(rows):  # the same inputs, whose labels or other columns have changed
        shape = tuple(read_meta(folder)["shape"])
        with atomic_file(folder / ROWS) as file:
            file.write(rows)
        write_json(folder / META, _meta(key, shape, dtype, dataset, backbone, rows))
    X, _ = read_cache(folder)
    return replace(dataset, X=X, source=str(folder))


def open_features(folder: str | Path, **options: Any) -> GroupedDataset:
    """Open a feature folder.

    Parameters
    ----------
    folder : str or Path
        What `embed` wrote.
    **options
        ``label``, ``attributes``, ``split`` and so on, as for `longway.data.read`.

    Raises
    ------
    LongwayError
        There is no cache there, or an option cannot be used.
    CorruptFileError
        A file of it is missing, damaged or cut short.
    """
    if not is_cache(Path(folder).expanduser()):
        raise LongwayError(f"{folder} is not a feature cache: give the folder that `longway embed` wrote")
    return read_data(folder, **options)


def _holds(folder: Path, key: str, overwrite: bool) -> bool:
    """Return whether a folder holds the complete features of this key; raise if it holds something else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not folder.is_dir() or not is_cache(folder):
        raise LongwayError(f"{folder} exists and is not a feature cache: choose another folder with out=")
    try:
        found = read_meta(folder)["key"]
        if found == key:
            read_cache(folder)
            return True
    except CorruptFileError:
        if overwrite:
            return False
        raise
    if not overwrite:
        raise LongwayError(
            f"{folder} holds features of other inputs, another backbone or dtype: choose another folder with out=, or "
            "overwrite=True to replace them"
        )
    return False


def _with_size(backbone: Backbone, dataset: GroupedDataset) -> Backbone:
    """Determine the size of images: the backbone's, else their own if all are equal, else 224."""
    if backbone.transform.size is not None or not isinstance(dataset.X, ImageColumn):
        return backbone
    sizes = dataset.X.sizes()
    first = next(sizes)
    return backbone if all(size == first for size in sizes) else backbone.sized(224)


def _make(
    folder: Path,
    key: str,
    rows: bytes,
    dataset: GroupedDataset,
    backbone: Backbone,
    dtype: np.dtype,
    batch_size: int,
    workers: int | None,
    verbose: int,
) -> None:
    """Write the three files of a feature folder, or the rest of them."""
    with atomic_directory(folder, overwrite=True, resume=key) as partial:
        with ResumableNpy(partial / FEATURES, len(dataset), dtype) as file:
            _write(file, dataset, backbone, batch_size, workers or min(8, os.cpu_count() or 1), verbose)
        (partial / ROWS).write_bytes(rows)
        assert file.width is not None
        write_json(partial / META, _meta(key, (len(dataset), file.width), str(dtype), dataset, backbone, rows))
        for left in set(partial.iterdir()) - {partial / name for name in (FEATURES, ROWS, META)}:
            left.unlink()


def _write(
    file: ResumableNpy, dataset: GroupedDataset, backbone: Backbone, batch_size: int, workers: int, verbose: int
) -> None:
    """Write features batch by batch with plain writes: a full disk under a memmap would kill the process."""
    done, total = (-(-rows // batch_size) for rows in (file.rows, len(dataset)))
    first, start = file.rows, time.monotonic()
    with progress(f"Embedding with {backbone.name}", total, done=done, show=verbose > 0) as advance:
        for batch in _prepared(dataset, backbone, batch_size, workers, file.rows):
            features = backbone.embed(batch).cpu().numpy()
            with np.errstate(over="ignore"):
                stored = features.astype(file.dtype)
            if not np.isfinite(stored).all():
                top = f"{np.abs(features).max():.3g}"
                raise LongwayError(
                    f"backbone {backbone.name} gave features up to {top}, too large for {file.dtype}: use "
                    "dtype='float32'"
                )
            file.append(stored)
            advance(f"{(file.rows - first) / (time.monotonic() - start):,.0f} rows a second")


def _prepared(
    dataset: GroupedDataset, backbone: Backbone, batch_size: int, workers: int, first: int
) -> Iterator[Tensor | list[str]]:
    """Yield batches from a given row on, decoded and resized by threads that run a bounded number of batches ahead."""

    def prepare(start: int) -> Tensor | list[str]:
        stop = min(start + batch_size, len(dataset))
        X = dataset.X
        if isinstance(X, ImageColumn):
            return backbone.prepare(X.read(np.arange(start, stop), least=backbone.transform.least))
        return backbone.prepare(X[start:stop])

    waiting: deque[Future[Tensor | list[str]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="longway-decode") as pool:
        try:
            for start in range(first, len(dataset), batch_size):
                waiting.append(pool.submit(prepare, start))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _meta(
    key: str, shape: tuple[int, ...], dtype: str, dataset: GroupedDataset, backbone: Backbone, rows: bytes
) -> dict[str, Any]:
    table = _table(dataset)
    return {
        "format": FORMAT,
        "key": key,
        "shape": list(shape),
        "dtype": dtype,
        "backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint, **backbone.options},
        "data": {
            "source": dataset.source,
            "fingerprint": dataset.input_fingerprint,
            "label": table.label,
            "split": table.split,
        },
        "rows": _hash(rows),
        "longway": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _table(dataset: GroupedDataset) -> Table:
    """Return the columns to store with the features: the source's own, or those of a data set made by hand."""
    import datasets

    if dataset.table is not None:
        return dataset.table
    label, split = dataset.label or "label", "split"
    columns = {label: dataset.y, **dataset.attributes, "group": dataset.groups, split: dataset.split}
    known = {name: values for name, values in columns.items() if values is not None}
    rows = datasets.Dataset.from_dict({ROW_ID: dataset.ids, **known})
    return Table(rows, label if dataset.y is not None else None, split if dataset.split is not None else None)


def _rows_file(dataset: GroupedDataset) -> bytes:
    """Write the Parquet file of row ids and of all columns with one plain value per row."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = _table(dataset).rows
    kept = [field.name for field in rows.features.arrow_schema if _plain(field.type) and field.name != ROW_ID]
    columns = {name: rows.select_columns([name]).with_format("arrow")[:].column(0) for name in kept}
    columns[ROW_ID] = pa.array(dataset.ids)
    features = datasets.Features({name: rows.features[name] for name in kept})  # these keep the names of classes
    features[ROW_ID] = datasets.Value(str(columns[ROW_ID].type))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns).cast(features.arrow_schema), sink)
    return sink.getvalue().to_pybytes()


def _plain(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _hash(content: bytes) -> str:
    digest = new_hash()
    digest.update(content)
    return digest.hexdigest()
