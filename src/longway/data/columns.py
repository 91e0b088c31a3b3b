"""The input columns of a table, and their conversion to the shape of ``X``."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any

import numpy as np

from longway.data.arrays import is_exact
from longway.data.file_formats import IMAGE_SUFFIXES
from longway.data.lazy_columns import ImageColumn, LazyColumn, TextColumn
from longway.data.table import Source, Table
from longway.utils.errors import LongwayError, LongwayWarning
from longway.utils.storage import scratch_array

_PIECE = 8192
_INDEX_NAMES = frozenset({"index", "idx", "id", "row", "rowid", "row_id", "row_number"})


def choose_input(
    source: Source, wanted: str | Sequence[str] | None, named: set[str], *, allow_outside: bool = False
) -> tuple[np.ndarray | LazyColumn, list[str]]:
    """Find the inputs of a source.

    Parameters
    ----------
    source : Source
        What was opened.
    wanted : str or sequence of str, optional
        One column of images, texts, feature lists or numbers, or several of numbers; globs such as ``"f*"`` welcome.
    named : set of str
        Columns that have another role.
    allow_outside : bool, default False
        Read images outside the folder of the data.

    Returns
    -------
    X : ndarray or LazyColumn
        As in GroupedDataset.
    columns : list of str
        The columns that it is made of.

    Raises
    ------
    LongwayError
        There is no such column, or it is unclear which is meant.
    """
    if source.X is not None:
        return source.X, []
    table = source.table
    kinds = {name: _kind(table, name) for name in table.columns}
    if wanted is None:
        columns = _infer(source, {name: kind for name, kind in kinds.items() if name not in named})
    else:
        columns = _expand([wanted] if isinstance(wanted, str) else list(wanted), table, named, source.name)
    kind = kinds[columns[0]]
    if len(columns) > 1 or kind == "number":
        return _numbers(source, columns, kinds), columns
    (name,) = columns
    if kind == "image":
        return ImageColumn(table.rows, name, source.name, root=source.root, allow_outside=allow_outside), columns
    if kind == "text":
        return TextColumn(table.rows, name, source.name), columns
    if kind == "list":
        return _lists(source, name), columns
    raise LongwayError(
        f"column {name!r} (input) of {source.name} holds {table.features[name]}: inputs are images, texts, numbers or "
        "lists of numbers"
    )


def _kind(table: Table, name: str) -> str:
    """Classify a column as a possible input: image, text, list, number or other."""
    import datasets
    import pyarrow as pa

    feature = table.features[name]
    if isinstance(feature, datasets.Image) or (isinstance(feature, dict) and set(feature) == {"bytes", "path"}):
        return "image"
    if isinstance(feature, datasets.List | datasets.LargeList):
        inner = feature.feature
        return "list" if isinstance(inner, datasets.Value) and _numeric(inner.dtype) else "other"
    if not isinstance(feature, datasets.Value):
        return "other"
    if feature.dtype in {"binary", "large_binary"}:
        return "image"
    if feature.dtype in {"string", "large_string"}:
        head = table.arrow([name], 0, min(20, len(table))).column(0).drop_null().to_pylist()
        named = bool(head) and all(PurePath(value).suffix.lower() in IMAGE_SUFFIXES for value in head)
        return "image" if named else "text"
    return "number" if _numeric(feature.dtype) or feature.dtype == str(pa.bool_()) else "other"


def _numeric(dtype: str) -> bool:
    return dtype.startswith(("float", "int", "uint", "double"))


def _infer(source: Source, kinds: dict[str, str]) -> list[str]:
    """Take the only column of images or lists, else all numbers, else the only texts; raise if ambiguous."""
    of = {kind: [name for name, k in kinds.items() if k == kind] for kind in ("image", "list", "text", "number")}
    for kind, what in (("image", "images"), ("list", "lists of numbers")):
        if len(of[kind]) > 1:
            shown = _some(of[kind])
            raise LongwayError(f"{source.name} has several columns of {what} ({shown}): choose one with input=")
        if of[kind]:
            return of[kind]
    if not of["number"] and len(of["text"]) == 1:
        return of["text"]
    if not of["number"] and not of["text"]:
        raise LongwayError(f"{source.name} has no column left for the inputs: name one with input=")
    if not of["number"]:
        raise LongwayError(
            f"{source.name} has several columns of texts ({_some(of['text'])}): choose one with input=, such as "
            f"input={of['text'][0]!r}"
        )
    return _features(source, of["number"], of["text"])


def _features(source: Source, numbers: list[str], texts: list[str]) -> list[str]:
    """Leave out texts and columns that only number the rows, and say so."""
    counting = [name for name in numbers if _numbers_rows(source.table, name)]
    kept = [name for name in numbers if name not in counting]
    for names, reason in ((texts, "holds words"), (counting, "only numbers the rows")):
        if names and kept:
            verb = reason if len(names) == 1 else reason.replace("holds", "hold").replace("numbers", "number")
            warnings.warn(
                f"{source.name}: column{'s' if len(names) > 1 else ''} {_some(names)} {verb} and "
                f"{'is' if len(names) == 1 else 'are'} no input; choose the inputs with input=, such as "
                f"input={kept[0]!r}",
                LongwayWarning,
                stacklevel=2,
            )
    return kept or numbers


def _numbers_rows(table: Table, name: str) -> bool:
    """Return whether a column is an index: unnamed, or counting from 0 or 1, or named like one and without repeats."""
    unnamed = re.fullmatch(r"Unnamed: \d+|__index_level_\d+__|", name)
    if unnamed or not table.features[name].dtype.startswith(("int", "uint")):
        return bool(unnamed)
    values = table.arrow([name]).column(0).to_numpy()
    if len(values) < 10 or values.dtype.kind not in "iu":
        return False
    if values[0] in (0, 1) and bool(np.all(np.diff(values) == 1)):
        return True
    return name.strip().lower() in _INDEX_NAMES and len(np.unique(values)) == len(values)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _expand(wanted: list[str], table: Table, named: set[str], source: str) -> list[str]:
    columns: list[str] = []
    for name in wanted:
        if name not in table.columns and any(sign in name for sign in "*?["):
            matches = [column for column in table.columns if fnmatchcase(column, name) and column not in named]
            if not matches:
                raise LongwayError(f"no column of {source} matches input={name!r}; it has {_some(table.columns)}")
            columns += matches
            continue
        table.check(name, "input", source)
        if name in named:
            raise LongwayError(
                f"column {name!r} of {source} cannot be an input: it has another role, such as label or attribute"
            )
        columns.append(name)
    return list(dict.fromkeys(columns))


def _numbers(source: Source, columns: list[str], kinds: dict[str, str]) -> np.ndarray:
    """Convert columns of numbers to features (n, d), in chunks."""
    other = [name for name in columns if kinds[name] != "number"]
    if other:
        raise LongwayError(
            f"column {other[0]!r} (input) of {source.name} does not hold numbers: several inputs must all be numbers"
        )
    dtype = _float_type(source.table.features[name].dtype for name in columns)
    out = _fill(source, columns, dtype)
    wide = _fill(source, columns, np.dtype(np.float64)) if out is None else out
    assert wide is not None
    return wide


def _fill(source: Source, columns: list[str], dtype: np.dtype) -> np.ndarray | None:
    """Convert columns of numbers to an array of a type; None if that loses the differences between rows."""
    table = source.table
    out = scratch_array((len(table), len(columns)), dtype)
    for start in range(0, len(table), _PIECE):
        piece = table.arrow(columns, start, min(start + _PIECE, len(table)))
        for k, name in enumerate(columns):
            values = piece.column(name)
            missing = values.is_null(nan_is_null=True).to_numpy()
            if missing.any():
                row = start + int(np.argmax(missing))
                raise LongwayError(
                    f"column {name!r} (input) of {source.name} has no value in row {row}: fill it in or drop that row"
                )
            given = values.to_numpy()
            if dtype == np.float32 and given.dtype.itemsize > 2 and not is_exact(given[:, None], dtype):
                return None
            with np.errstate(over="ignore"):  # infinite features are refused, by name, where a method is fitted
                out[start : start + len(piece), k] = given
    return out


def _float_type(dtypes: Any) -> np.dtype:
    return np.dtype(np.float16 if set(dtypes) <= {"float16", "halffloat"} else np.float32)


def _lists(source: Source, name: str) -> np.ndarray:
    """Convert a column of equally long lists to features (n, d), in chunks."""
    dtype = _float_type([source.table.features[name].feature.dtype])
    out = _fill_lists(source, name, dtype)
    wide = _fill_lists(source, name, np.dtype(np.float64)) if out is None else out
    assert wide is not None
    return wide


def _fill_lists(source: Source, name: str, dtype: np.dtype) -> np.ndarray | None:
    """Convert lists to an array of a type; None if that loses the differences between rows."""
    import pyarrow.compute as pc

    table, out, width = source.table, np.empty((0, 0)), -1
    where = f"column {name!r} (input) of {source.name}"
    for start in range(0, len(table), _PIECE):
        piece = table.arrow([name], start, min(start + _PIECE, len(table))).column(0)
        lengths = pc.fill_null(pc.list_value_length(piece), 0).to_numpy()
        if start == 0:
            width = int(lengths[0])
            out = scratch_array((len(table), width), dtype)
        if width == 0 or not np.all(lengths == width):
            row = 0 if width == 0 else int(np.argmax(lengths != width))
            found = f"{lengths[row]} numbers" if width == 0 else f"{lengths[row]} numbers, row 0 has {width}"
            raise LongwayError(f"{where}: row {start + row} has {found}; all lists must be equally long")
        values = pc.list_flatten(piece)
        if values.null_count:
            row = start + int(np.argmax(values.is_null().to_numpy())) // width
            raise LongwayError(f"{where} lacks a number in row {row}: fill it in or drop that row")
        given = values.to_numpy().reshape(-1, width)
        if dtype == np.float32 and given.dtype.itemsize > 4 and not is_exact(given, dtype):
            return None
        with np.errstate(over="ignore"):
            out[start : start + len(piece)] = given
    return out
