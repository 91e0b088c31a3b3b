"""Check what an audit is given and bring it into one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from longway.auditing.duplicates import find_duplicates
from longway.auditing.result import Skipped
from longway.data import GroupedDataset, ImageColumn
from longway.data.lazy_columns import TextColumn
from longway.data.validation import check_finite, check_images, check_labels
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.pixels import as_rgb

MIN_SAMPLES, MIN_CLASS_SIZE = 50, 8
"""With fewer samples, or fewer of a class, chance explains everything."""
NO_VARIANCE = "X has no variance: all rows are equal, so there is nothing to look for"
IMAGE_SIZE = 32
"""Side in pixels of the images that are analysed."""


@dataclass
class AuditInputs:
    """Samples to audit, at most ``max_rows``, with their labels and columns.

    Parameters
    ----------
    kind : {"features", "images", "texts"}
    X : ndarray or list of str
        Features (n, d), images (n, c, h, w), or texts.
    codes : ndarray of shape (n,)
    classes : ndarray of shape (C,)
        Sorted labels, as given.
    y : ndarray of shape (n,)
    ids : ndarray of shape (n,)
    rows : ndarray of shape (n,), int64
        Positions in the data as given.
    columns : dict of str to ndarray of shape (n,)
        Attributes and metadata.
    properties : dict of str to ndarray of shape (n,)
        Columns that were computed from the inputs, such as the length of a text.
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
    properties: dict[str, np.ndarray]
    source: str
    n_given: int
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def take(self, positions: np.ndarray) -> AuditInputs:
        """Return the samples at these positions; X must be an array."""
        columns, properties = (
            {name: values[positions] for name, values in each.items()} for each in (self.columns, self.properties)
        )
        arrays = {name: getattr(self, name)[positions] for name in ("X", "codes", "y", "ids", "rows")}
        return replace(self, columns=columns, properties=properties, **arrays)

    @property
    def names(self) -> list[str]:
        """Names of the classes."""
        return [str(label) for label in self.classes.tolist()]

    @property
    def all_columns(self) -> dict[str, np.ndarray]:
        """Given columns and computed properties."""
        return {**self.columns, **self.properties}


def prepare(data: GroupedDataset, max_rows: int, max_skipped: float, seed: int) -> AuditInputs:
    """Check labelled data, choose the samples to audit, and read them.

    Raises
    ------
    LongwayError
        It cannot be used; the message names the argument and what to do.
    """
    labels = check_labels(data.y, len(data))
    codes, large, notes = _check_classes(labels)
    if isinstance(data.X, np.ndarray) and data.kind == "features":
        if data.X.ndim != 2 or not data.X.shape[1] or data.X.dtype.kind not in "fiub":
            raise LongwayError(f"X has shape {data.X.shape} and type {data.X.dtype}: features must be numbers (n, d)")
        check_finite(data.X, "X")
    notes += find_duplicates(data)
    usable = np.flatnonzero(large[codes])
    rows = sample_rows(usable, codes, max_rows, np.random.default_rng(seed))
    if len(rows) < len(usable):
        notes.append(f"{len(rows):,} of {len(usable):,} samples, drawn at random, were audited")
    columns = plain_columns(data, rows)
    X, readable, skipped, properties = _read(data, rows, max_skipped)
    if isinstance(X, np.ndarray) and not any((row != X[0]).any() for row in X):
        raise LongwayError(NO_VARIANCE)
    rows, columns = rows[readable], {name: values[readable] for name, values in columns.items()}
    classes, codes = np.unique(labels[rows], return_inverse=True)
    if len(classes) < 2:
        raise LongwayError("the inputs that can be read hold one class only: an audit needs two or more")
    return AuditInputs(
        kind=data.kind,
        X=X,
        codes=codes,
        classes=classes,
        y=labels[rows],
        ids=np.asarray(data.ids)[rows],
        rows=rows,
        columns=columns,
        properties=properties,
        source=data.source,
        n_given=len(data),
        notes=notes,
        skipped=skipped,
    )


def as_dataset(data: Any, y: Any, metadata: Any, split: Any, ids: Any, source: str | None) -> GroupedDataset:
    """Return arrays, a list of texts or a data set, with labels and metadata, as a data set without groups.

    Raises
    ------
    LongwayError
        There are no labels, or something has the wrong shape.
    """
    if isinstance(data, GroupedDataset):
        if data.y is None and y is None:
            raise LongwayError("y is None and the data have no label: name the column with label=")
        return replace(
            data,
            y=np.asarray(data.y if y is None else y),
            attributes={**data.attributes, **_check_metadata(metadata, len(data))},
            groups=np.zeros(len(data), dtype="<U1") if data.groups is None else data.groups,  # no groups from columns
            split=data.split if split is None else np.asarray(split),
            source=data.source if source is None else source,
            ids=data.ids if ids is None else np.asarray(ids),
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
    return GroupedDataset(
        X,
        check_labels(y, len(X)),
        _check_metadata(metadata, len(X)),
        np.zeros(len(X), dtype="<U1"),  # no groups from columns
        None if split is None else np.asarray(split).astype(str),
        source=source or "memory",
        ids=np.arange(len(X)) if ids is None else np.asarray(ids),
    )


def _check_metadata(metadata: Mapping[str, Any] | None, n: int) -> dict[str, np.ndarray]:
    found = {}
    for name, values in dict(metadata or {}).items():
        array = np.asarray(values)
        if array.shape != (n,):
            raise LongwayError(f"metadata[{name!r}] has shape {array.shape}: give one value for each of the {n} rows")
        found[str(name)] = array
    return found


def _check_classes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the class of each sample, whether each class is large enough, and notes on those that are not."""
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(labels) < MIN_SAMPLES:
        raise LongwayError(
            f"y has {len(labels)} rows: an audit needs {MIN_SAMPLES} or more, else chance explains everything"
        )
    if len(classes) < 2:
        raise LongwayError(f"y holds one class only ({classes.tolist()[0]!r}): an audit needs two or more")
    large = counts >= MIN_CLASS_SIZE
    if large.sum() < 2:
        raise LongwayError(f"y has fewer than two classes of {MIN_CLASS_SIZE} samples or more: too few to audit")
    notes = [
        f"class {str(name)!r} was left out: {count} samples are too few to judge"
        for name, count in zip(classes[~large].tolist(), counts[~large].tolist(), strict=True)
    ]
    return codes, large, notes


def sample_rows(usable: np.ndarray, codes: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """Draw at most this many positions, in order; each class keeps its share, and `MIN_CLASS_SIZE` samples or more."""
    if len(usable) <= most:
        return usable
    chosen = []
    for code in np.unique(codes[usable]):
        members = generator.permutation(usable[codes[usable] == code])
        chosen.append(members[: max(MIN_CLASS_SIZE, round(most * len(members) / len(usable)))])
    return np.sort(np.concatenate(chosen))


def plain_columns(data: GroupedDataset, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Read the attributes, and all columns of numbers, strings or booleans, of some rows."""
    found = {name: np.asarray(values)[rows] for name, values in data.attributes.items()}
    if data.table is not None:
        table = data.table.take(rows)
        for name in table.columns:
            if name == data.label or name in found:
                continue
            values = table.arrow([name]).column(0).to_pandas().to_numpy()
            if values.dtype.kind not in "OUbiuf" or values.ndim != 1:
                continue
            if values.dtype.kind == "O":
                if not all(isinstance(value, str | bool | int | None) for value in values):
                    continue
                values = values.astype(str)
            found[name] = values
    return found


def _read(
    data: GroupedDataset, rows: np.ndarray, max_skipped: float
) -> tuple[Any, np.ndarray, list[Skipped], dict[str, np.ndarray]]:
    """Return the inputs that can be read, which rows these are, the others, and properties of the inputs."""
    everything = np.ones(len(rows), bool)
    if isinstance(data.X, np.ndarray):
        X = np.asarray(data.X[rows])
        return (X.astype(np.float32) if X.dtype.kind != "f" or X.dtype == np.float16 else X), everything, [], {}
    if isinstance(data.X, TextColumn):
        texts = data.X.read(rows)
        return texts, everything, [], {"text length": np.array([float(len(text)) for text in texts])}
    assert isinstance(data.X, ImageColumn)
    return _read_images(data.X, np.asarray(data.ids), rows, max_skipped)


def _read_images(
    X: ImageColumn, ids: np.ndarray, rows: np.ndarray, max_skipped: float
) -> tuple[np.ndarray, np.ndarray, list[Skipped], dict[str, np.ndarray]]:
    pictures, readable, skipped = [], np.ones(len(rows), bool), []
    properties: dict[str, list[Any]] = {name: [] for name in ("width", "height", "file type", "colour mode")}
    for k, row in enumerate(rows.tolist()):
        try:
            with X.read(np.array([row]))[0] as image:
                facts = (float(image.width), float(image.height), str(image.format or "unknown"), str(image.mode))
                small = as_rgb(image).resize((IMAGE_SIZE, IMAGE_SIZE))
        except (LongwayError, OSError) as error:
            readable[k] = False
            skipped.append(Skipped(row, str(ids[row]), " ".join(str(error).split())[:300]))
            continue
        pictures.append(np.asarray(small, np.float32).transpose(2, 0, 1) / 255)
        for values, fact in zip(properties.values(), facts, strict=True):
            values.append(fact)
    if len(skipped) > max_skipped * len(rows) or not pictures:
        raise CorruptFileError(
            f"{len(skipped)} of {len(rows)} images cannot be read, more than max_skipped={max_skipped:g} or all; the "
            f"first: {skipped[0].reason}"
        )
    return np.stack(pictures), readable, skipped, {name: np.array(values) for name, values in properties.items()}
