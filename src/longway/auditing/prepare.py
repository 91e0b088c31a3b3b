"""What an audit is given, checked and brought into one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from longway.auditing.duplicates import copies
from longway.auditing.result import Skipped
from longway.data import GroupedDataset, ImageColumn
from longway.data.lazy_columns import TextColumn
from longway.data.validation import check_finite, check_images, check_labels
from longway.utils.errors import CorruptFileError, LongwayError

LEAST = 50
"""Rows below which nothing can be told."""
NO_VARIANCE = "X has no variance: all rows are equal, so there is nothing to look for"
IMAGE_SIZE = 32
"""Images are looked at with sides of at most so many pixels."""


@dataclass
class Inputs:
    """Rows to audit, at most as many as asked for, and what is known of them.

    Parameters
    ----------
    kind : {"features", "images", "texts"}
    X : ndarray or list of str
        Features (n, d), images (n, c, h, w), or texts.
    codes : ndarray of shape (n,)
    classes : ndarray of shape (C,)
        Labels in order, as given.
    y : ndarray of shape (n,)
    ids : ndarray of shape (n,)
    rows : ndarray of shape (n,), int64
        Positions in what was given.
    columns : dict of str to ndarray of shape (n,)
    source : str
    n_given : int
    notes : list of str
    skipped : list of Skipped
    """

    kind: Literal["features", "images", "texts"]
    X: Any
    codes: np.ndarray
    classes: np.ndarray
    y: np.ndarray
    ids: np.ndarray
    rows: np.ndarray
    columns: dict[str, np.ndarray]
    source: str
    n_given: int
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def take(self, positions: np.ndarray) -> Inputs:
        """Return the rows at these positions; X must be an array."""
        return replace(
            self,
            X=self.X[positions],
            codes=self.codes[positions],
            y=self.y[positions],
            ids=self.ids[positions],
            rows=self.rows[positions],
            columns={name: values[positions] for name, values in self.columns.items()},
        )

    @property
    def names(self) -> list[str]:
        """Names of the classes."""
        return [str(label) for label in self.classes.tolist()]


def prepare(
    data: Any,
    y: Any,
    *,
    metadata: Mapping[str, Any] | None,
    split: Any,
    ids: Any,
    source: str | None,
    max_rows: int,
    max_skipped: float,
    seed: int,
) -> Inputs:
    """Check what an audit is given, choose the rows to audit, and read them.

    Raises
    ------
    LongwayError
        It cannot be used; the message names the argument and the way out.
    """
    data = as_dataset(data, y, metadata, split, ids, source)
    n = len(data)
    assert data.y is not None
    labels = check_labels(data.y, n)
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if n < LEAST:
        raise LongwayError(f"y has {n} rows: an audit needs {LEAST} or more, else chance explains everything")
    if len(classes) < 2:
        raise LongwayError(f"y holds one class only ({classes.tolist()[0]!r}): an audit needs two or more")
    notes = _sparse(classes, counts)
    kept = counts >= 8
    if kept.sum() < 2:
        raise LongwayError("y has fewer than two classes with 8 samples or more: nothing can be told of smaller ones")
    if isinstance(data.X, np.ndarray) and data.kind == "features":
        if data.X.ndim != 2 or not data.X.shape[1] or data.X.dtype.kind not in "fiub":
            raise LongwayError(f"X has shape {data.X.shape} and type {data.X.dtype}: features must be numbers (n, d)")
        check_finite(data.X, "X")
    notes += copies(data)
    usable = np.flatnonzero(kept[codes])
    rows = some_rows(usable, codes, max_rows, np.random.default_rng(seed))
    if len(rows) < len(usable):
        notes.append(f"{len(rows):,} of {len(usable):,} rows, drawn at random, were audited")
    columns = plain_columns(data, rows)
    X, good, skipped = _read(data, rows, columns, max_skipped)
    if isinstance(X, np.ndarray) and not any((row != X[0]).any() for row in X):
        raise LongwayError(NO_VARIANCE)
    rows = rows[good]
    columns = {name: values if len(values) == len(rows) else values[good] for name, values in columns.items()}
    some = labels[rows]
    classes, codes = np.unique(some, return_inverse=True)
    if len(classes) < 2:
        raise LongwayError("the inputs that can be read hold one class only: an audit needs two or more")
    good_ids = np.asarray(data.ids)[rows]
    return Inputs(data.kind, X, codes, classes, some, good_ids, rows, columns, data.source, n, notes, skipped)


def as_dataset(data: Any, y: Any, metadata: Any, split: Any, ids: Any, source: str | None) -> GroupedDataset:
    """Return what was given, an array or a list with what is known of its rows or a data set, as a data set.

    Raises
    ------
    LongwayError
        There are no labels, or something has another shape.
    """
    if isinstance(data, GroupedDataset):
        if data.y is None and y is None:
            raise LongwayError("y is None and the data have no label: name the column with label=")
        attributes = {**data.attributes, **_metadata(metadata, len(data))}
        return GroupedDataset(
            data.X,
            np.asarray(data.y if y is None else y),
            attributes,
            np.zeros(len(data), dtype="<U1") if data.groups is None else data.groups,  # columns make no groups here
            data.split if split is None else np.asarray(split),
            data.label,
            data.source if source is None else source,
            data.ids if ids is None else np.asarray(ids),
            data.inputs,
            data.table,
        )
    if y is None:
        raise LongwayError("y is None: this needs the labels")
    if isinstance(data, list | tuple) and data and all(isinstance(text, str) for text in data):
        import datasets

        X: Any = TextColumn(datasets.Dataset.from_dict({"text": list(data)}), "text", source or "memory")
    else:
        X = np.asanyarray(data)
        if X.ndim == 4:
            X = check_images(X, "X")
        if X.ndim not in (2, 4):
            raise LongwayError(f"X has shape {X.shape}: give features (n, d), images (n, c, h, w), or a list of texts")
    labels = check_labels(y, len(X))
    columns = _metadata(metadata, len(X))
    given = None if split is None else np.asarray(split).astype(str)
    groups = np.zeros(len(X), dtype="<U1")  # columns make no groups here
    return GroupedDataset(
        X,
        labels,
        columns,
        groups,
        given,
        source=source or "memory",
        ids=np.arange(len(X)) if ids is None else np.asarray(ids),
    )


def _metadata(metadata: Mapping[str, Any] | None, n: int) -> dict[str, np.ndarray]:
    found = {}
    for name, values in dict(metadata or {}).items():
        array = np.asarray(values)
        if array.shape != (n,):
            raise LongwayError(f"metadata[{name!r}] has shape {array.shape}: give one value for each of the {n} rows")
        found[str(name)] = array
    return found


def _sparse(classes: np.ndarray, counts: np.ndarray) -> list[str]:
    return [
        f"class {str(name)!r} has {count} samples: too few to judge; it was left out"
        for name, count in zip(classes.tolist(), counts.tolist(), strict=True)
        if count < 8
    ]


def some_rows(usable: np.ndarray, codes: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """Return at most so many positions, in order; every class keeps its share, and 8 samples at least."""
    if len(usable) <= most:
        return usable
    chosen = []
    for code in np.unique(codes[usable]):
        members = generator.permutation(usable[codes[usable] == code])
        chosen.append(members[: max(8, round(most * len(members) / len(usable)))])
    return np.sort(np.concatenate(chosen))


def plain_columns(data: GroupedDataset, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Read attributes and all plain columns beside the inputs."""
    found = {name: np.asarray(values)[rows] for name, values in data.attributes.items()}
    if data.table is not None:
        table = data.table.take(rows)
        for name in table.columns:
            if name == data.label or name in found:
                continue
            column = table.arrow([name]).column(0)
            values = column.to_pandas().to_numpy()
            if values.dtype.kind in "OUbiuf" and values.ndim == 1:
                if values.dtype.kind == "O" and not all(isinstance(v, str | bool | int | None) for v in values):
                    continue
                found[name] = values.astype(str) if values.dtype.kind == "O" else values
    return found


def _read(
    data: GroupedDataset, rows: np.ndarray, columns: dict[str, np.ndarray], max_skipped: float
) -> tuple[Any, np.ndarray, list[Skipped]]:
    """Read the inputs of rows; return them, which rows were good, and the others. Adds properties to the columns."""
    everything = np.ones(len(rows), bool)
    if isinstance(data.X, np.ndarray):
        X = np.asarray(data.X[rows])
        return (X.astype(np.float32) if X.dtype.kind != "f" or X.dtype == np.float16 else X), everything, []
    if isinstance(data.X, TextColumn):
        texts = data.X.read(rows)
        columns["text length"] = np.array([float(len(text)) for text in texts])
        return texts, everything, []
    assert isinstance(data.X, ImageColumn)
    return _images(data.X, np.asarray(data.ids), rows, columns, max_skipped)


def _images(
    X: ImageColumn, ids: np.ndarray, rows: np.ndarray, columns: dict[str, np.ndarray], max_skipped: float
) -> tuple[np.ndarray, np.ndarray, list[Skipped]]:
    pictures, good, skipped = [], np.ones(len(rows), bool), []
    facts: dict[str, list[Any]] = {name: [] for name in ("width", "height", "file type", "colour mode")}
    for k, row in enumerate(rows.tolist()):
        try:
            with X.read(np.array([row]))[0] as image:
                facts["width"].append(float(image.width))
                facts["height"].append(float(image.height))
                facts["file type"].append(str(image.format or "unknown"))
                facts["colour mode"].append(str(image.mode))
                small = image.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE))
            pictures.append(np.asarray(small, np.float32).transpose(2, 0, 1) / 255)
        except (CorruptFileError, OSError) as error:
            good[k] = False
            skipped.append(Skipped(row, str(ids[row]), " ".join(str(error).split())[:300]))
    if len(skipped) > max_skipped * len(rows) or not pictures:
        raise CorruptFileError(
            f"{len(skipped)} of {len(rows)} images cannot be read, more than max_skipped={max_skipped:g} or all; the "
            f"first: {skipped[0].reason}"
        )
    columns.update({name: values[good] for name, values in columns.items()})
    columns.update({name: np.array(values) for name, values in facts.items()})
    return np.stack(pictures), good, skipped
