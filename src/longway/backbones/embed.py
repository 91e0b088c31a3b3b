"""Feature folders: features that a backbone computes once for a data set."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from torch import Tensor

from longway._version import __version__
from longway.backbones import Backbone
from longway.data import GroupedDataset, ImageColumn, Table
from longway.data import read as read_data
from longway.data.feature_folder import FEATURES, FORMAT, META, ROWS, is_cache, read_cache, read_meta
from longway.data.skipping import check_max_skipped, check_skipped, warn_skipped
from longway.data.table import ROW_ID
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.progress import progress
from longway.utils.resumable_npy import ResumableNpy, drop_rows
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

SKIPPED = "skipped.json"
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
    max_skipped: float = 0,
) -> GroupedDataset:
    """Compute the features of all inputs with a backbone and store them on disk.

    Parameters
    ----------
    dataset : GroupedDataset
        Images or texts. Labels are not needed: all other columns of the source are stored with the features, so labels,
        attributes and splits can be chosen when the folder is read.
    backbone : Backbone
        From `longway.backbones.load_backbone`.
    out : str or Path, optional
        Folder for the features; by default one named by their key in ``$LONGWAY_CACHE`` or the user's cache folder.
    dtype : {"float16", "float32"}, default "float16"
        Type of the stored features.
    batch_size : int, default 64
        Inputs per forward pass.
    overwrite : bool, default False
        Replace a feature folder ``out`` that holds other features.
    workers : int, optional
        Threads that decode and resize ahead of the backbone; by default one per core, at most 8.
    verbose : int, default 1
        0 shows no progress bar.
    max_skipped : float, default 0
        Share of the images that may be unreadable; they are left out, with a warning, and listed in ``meta.json``.

    Returns
    -------
    GroupedDataset
        The same samples, without unreadable ones; X is a read-only memmap of shape (n, d).

    Raises
    ------
    LongwayError
        If an option is out of range, the inputs are features already, ``out`` holds something else, the backbone fails,
        the features overflow float16, or the disk is full.
    CorruptFileError
        If more than ``max_skipped`` of the images do not decode, or the feature folder ``out`` is damaged.

    Notes
    -----
    The key is a hash of the backbone (weights, transform, code), of the inputs' content and of ``dtype``. If ``out``
    holds features of the same key, nothing is computed. A folder gets its name only when it is complete. If the call
    fails, is killed or interrupted, the finished part stays next to it in a folder whose name begins with a dot, and
    the same call resumes from there; a full disk leaves nothing. Processes that embed into the same folder wait for
    each other.
    """
    if dtype not in DTYPES:
        raise LongwayError(f"dtype={dtype!r} must be one of {', '.join(DTYPES)}")
    if batch_size < 1 or (workers is not None and workers < 1):
        raise LongwayError(f"batch_size={batch_size} and workers={workers} must be at least 1")
    check_max_skipped(max_skipped)
    if dataset.kind == "features":
        raise LongwayError(f"{dataset.source} holds features already: there is nothing to embed; use it directly")
    if len(dataset) == 0:
        raise LongwayError(f"{dataset.source} has no samples to embed")
    backbone = _with_size(backbone, dataset, skip_broken=max_skipped > 0)
    job = _Embedding(dataset, backbone, dtype, batch_size, workers or min(8, os.cpu_count() or 1), max_skipped)
    folder = cache_root() / "features" / job.key if out is None else Path(out).expanduser()
    if not _holds(folder, job.key, overwrite):
        with sole_writer(folder):
            if not _holds(folder, job.key, overwrite):  # another process may have written them while this one waited
                job.make(folder, show=verbose > 0)
    skipped = read_meta(folder).get("skipped", [])
    if skipped:
        reasons = [reason for _, reason in skipped]
        check_skipped(reasons, len(dataset), max_skipped)
        warn_skipped(dataset.source, reasons, len(dataset))
        job = replace(job, dataset=_without(dataset, skipped), whole=job.key)
    if read_meta(folder)["rows"] != _hash(job.rows):  # the inputs are the same, but other columns have changed
        shape = read_meta(folder)["shape"]
        with atomic_file(folder / ROWS) as file:
            file.write(job.rows)
        write_json(folder / META, job.meta(shape, skipped))
    X, _ = read_cache(folder)
    return replace(job.dataset, X=X, source=str(folder))


def open_features(folder: str | Path, **options: Any) -> GroupedDataset:
    """Open a feature folder.

    Parameters
    ----------
    folder : str or Path
        Folder that `embed` wrote.
    **options
        ``label``, ``attributes``, ``split`` and others, as for `longway.data.read`.

    Raises
    ------
    LongwayError
        If it is no feature folder, or an option is invalid.
    CorruptFileError
        If a file is missing, damaged or cut short.
    """
    if not is_cache(Path(folder).expanduser()):
        raise LongwayError(f"{folder} is not a feature cache: give the folder that `longway embed` wrote")
    return read_data(folder, **options)


def _holds(folder: Path, key: str, overwrite: bool) -> bool:
    """Return True if a folder holds the complete features of this key; raise if it holds something else."""
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


def _with_size(backbone: Backbone, dataset: GroupedDataset, skip_broken: bool = False) -> Backbone:
    """Set the image size if the backbone has none: the images' own if all are equal squares, 224 if they differ.

    It is stored with the features and with models, so that later images of another size are resized to it.
    """
    if backbone.transform.size is not None or dataset.kind != "images":
        return backbone
    sizes = (
        dataset.X.sizes(skip_broken) if isinstance(dataset.X, ImageColumn) else iter([np.asarray(dataset.X).shape[2:]])
    )
    first = next(sizes, None)
    if first is None:  # no image can be read
        return backbone
    if any(size != first for size in sizes):
        return backbone.sized(224)
    return backbone.sized(int(first[0])) if first[0] == first[1] else backbone


def _without(dataset: GroupedDataset, skipped: list[list[Any]]) -> GroupedDataset:
    return dataset.take(np.delete(np.arange(len(dataset)), [row for row, _ in skipped]))


class _Batch(NamedTuple):
    """Inputs for the backbone, and the rows of the batch that they are for."""

    n: int
    inputs: Tensor | list[str] | None
    """None if no image can be read."""
    readable: Sequence[int] = ()
    broken: Sequence[tuple[int, str]] = ()


def _read_skipped(path: Path, rows: int) -> list[list[Any]]:
    """Read which of the finished rows an earlier run left out."""
    try:
        return [[int(row), str(reason)] for row, reason in json.loads(path.read_text(encoding="utf-8")) if row < rows]
    except FileNotFoundError:
        return []


@dataclass(frozen=True)
class _Embedding:
    """The contents of a feature folder, and the computation of them."""

    dataset: GroupedDataset
    backbone: Backbone
    dtype: str
    batch_size: int
    workers: int
    max_skipped: float = 0
    whole: str | None = None
    """Key of the data before samples were left out."""

    @cached_property
    def key(self) -> str:
        """Hash of everything that determines the features."""
        return self.whole or hash_json([self.backbone.fingerprint, self.dataset.input_fingerprint, self.dtype])

    @cached_property
    def rows(self) -> bytes:
        """A Parquet file of the row ids and of all columns with one plain value per row."""
        return _rows_file(self.dataset)

    def make(self, folder: Path, *, show: bool) -> None:
        """Write the three files of a feature folder, or resume writing them."""
        _ = self.rows  # first, because it may fail
        with atomic_directory(folder, overwrite=True, resume=self.key) as partial:
            with ResumableNpy(partial / FEATURES, len(self.dataset), np.dtype(self.dtype)) as file:
                skipped = _read_skipped(partial / SKIPPED, file.rows)
                self._write(file, skipped, partial / SKIPPED, show)
            n = drop_rows(partial / FEATURES, [row for row, _ in skipped]) if skipped else len(self.dataset)
            job = replace(self, dataset=_without(self.dataset, skipped), whole=self.key) if skipped else self
            (partial / ROWS).write_bytes(job.rows)
            assert file.width is not None
            write_json(partial / META, job.meta([n, file.width], skipped))
            for leftover in set(partial.iterdir()) - {partial / name for name in (FEATURES, ROWS, META)}:
                leftover.unlink()

    def _write(self, file: ResumableNpy, skipped: list[list[Any]], record: Path, show: bool) -> None:
        """Write features batch by batch, with plain writes: on a full disk, writing to a memmap kills the process.

        Rows that cannot be read are zero until they are dropped.
        """
        name, first, start = self.backbone.name, file.rows, time.monotonic()
        done, total = (-(-rows // self.batch_size) for rows in (first, len(self.dataset)))
        with progress(f"Embedding with {name}", total, done=done, show=show) as advance:
            for batch in self._batches(first):
                if batch.broken:
                    skipped += [[row, reason] for row, reason in batch.broken]
                    check_skipped([reason for _, reason in skipped], len(self.dataset), self.max_skipped)
                    write_json(record, skipped)
                file.append(self._features(batch, file))
                advance(f"{(file.rows - first) / (time.monotonic() - start):,.0f} samples per second")

    def _features(self, batch: _Batch, file: ResumableNpy) -> np.ndarray:
        name = self.backbone.name
        if batch.inputs is None:
            if file.width is None:
                raise CorruptFileError(f"none of the first {batch.n} images can be read: {batch.broken[0][1]}")
            return np.zeros((batch.n, file.width), file.dtype)
        features = self.backbone.embed(batch.inputs).cpu().numpy()
        with np.errstate(over="ignore"):
            stored = features.astype(file.dtype)
        if not np.isfinite(stored).all():
            raise LongwayError(
                f"backbone {name} gave features up to {np.abs(features).max():.3g}, too large for {file.dtype}: use "
                "dtype='float32'"
            )
        if not batch.broken:
            return stored
        out = np.zeros((batch.n, stored.shape[1]), file.dtype)
        out[batch.readable] = stored
        return out

    def _batches(self, first: int) -> Iterator[_Batch]:
        """Yield batches from sample ``first`` on, prepared by threads that run a bounded number of batches ahead."""
        n, size = len(self.dataset), self.batch_size
        waiting: deque[Future[_Batch]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="longway-decode") as pool:
            try:
                for start in range(first, n, size):
                    waiting.append(pool.submit(self._prepare, start, min(start + size, n)))
                    if len(waiting) > self.workers + 1:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _prepare(self, start: int, stop: int) -> _Batch:
        X = self.dataset.X
        if not isinstance(X, ImageColumn):
            return _Batch(stop - start, self.backbone.prepare(X[start:stop]))
        images, readable, broken = X.read_some(np.arange(start, stop), min_size=self.backbone.transform.min_size)
        inputs = self.backbone.prepare(images) if images else None
        return _Batch(stop - start, inputs, [row - start for row in readable], broken)

    def meta(self, shape: list[int], skipped: list[list[Any]]) -> dict[str, Any]:
        """Return the header of the feature folder."""
        table, backbone = _table(self.dataset), self.backbone
        return {
            "format": FORMAT,
            "key": self.key,
            "shape": shape,
            "dtype": self.dtype,
            "backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint, **backbone.options},
            "data": {
                "source": self.dataset.source,
                "fingerprint": self.dataset.input_fingerprint,
                "label": table.label,
                "split": table.split,
            },
            "rows": _hash(self.rows),
            **({"skipped": skipped} if skipped else {}),
            "longway": __version__,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }


def _table(dataset: GroupedDataset) -> Table:
    """Return the columns to store with the features: the source's, or those of a data set made in memory."""
    import datasets

    if dataset.table is not None:
        return dataset.table
    label, split = dataset.label or "label", "split"
    columns = {label: dataset.y, **dataset.attributes, "group": dataset.groups, split: dataset.split}
    given = {name: values for name, values in columns.items() if values is not None}
    rows = datasets.Dataset.from_dict({ROW_ID: dataset.ids, **given})
    return Table(rows, label if dataset.y is not None else None, split if dataset.split is not None else None)


def _rows_file(dataset: GroupedDataset) -> bytes:
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = _table(dataset).rows
    kept = [field.name for field in rows.features.arrow_schema if _plain(field.type) and field.name != ROW_ID]
    columns = {name: rows.select_columns([name]).with_format("arrow")[:].column(0) for name in kept}
    columns[ROW_ID] = pa.array(dataset.ids)
    features = datasets.Features({name: rows.features[name] for name in kept})  # keeps the names of classes
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
