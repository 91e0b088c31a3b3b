"""The input columns of a table, and their conversion to the shape of ``X``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath

import numpy as np

from longway.data.image_folder import IMAGE_SUFFIXES
from longway.data.lazy_columns import ImageColumn, LazyColumn, TextColumn
from longway.data.table import Source, Table
from longway.utils.errors import LongwayError
from longway.utils.storage import scratch_array

_PIECE = 8192
_WIDE = frozenset({"float64", "double", "int32", "int64", "uint32", "uint64"})
"""Types that hold more digits than float32."""
_INDEX = re.compile(r"Unnamed: \d+|__index_level_\d+__|")
"""Names of the row numbers that pandas writes into CSV and Parquet files: no property of a sample."""


def choose_input(
    source: Source, wanted: str | Sequence[str] | None, named: set[str]
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
        free = {name: kind for name, kind in kinds.items() if name not in named and not _INDEX.fullmatch(name)}
        columns = _infer(free, source.name)
    else:
        columns = _expand([wanted] if isinstance(wanted, str) else list(wanted), table, named, source.name)
    kind = kinds[columns[0]]
    if len(columns) > 1 or kind == "number":
        return _numbers(source, columns, kinds), columns
    (name,) = columns
    if kind == "image":
        return ImageColumn(table.rows, name, source.name, root=source.root, anywhere=source.anywhere), columns
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


def _infer(kinds: dict[str, str], source: str) -> list[str]:
    """Take the only column of images or lists, else the only texts, else all numbers; raise if ambiguous."""
    of = {kind: [name for name, k in kinds.items() if k == kind] for kind in ("image", "list", "text", "number")}
    for kind, what in (("image", "images"), ("list", "lists of numbers")):
        if len(of[kind]) > 1:
            raise LongwayError(f"{source} has several columns of {what} ({_some(of[kind])}): choose one with input=")
        if of[kind]:
            return of[kind]
    if of["number"] and not of["text"]:
        return of["number"]
    if len(of["text"]) == 1 and not of["number"]:
        return of["text"]
    if not of["number"] and not of["text"]:
        raise LongwayError(f"{source} has no column left for the inputs: name one with input=")
    raise LongwayError(
        f"it is unclear which columns of {source} are the inputs, the texts ({_some(of['text'])}) or the numbers "
        f"({_some(of['number']) or 'none'}): name them with input=, such as input={of['text'][0]!r} or input='f*'"
    )


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
    table = source.table
    kind = _float_type([table.features[name].dtype for name in columns], table, columns)
    out = scratch_array((len(table), len(columns)), kind)
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
            with np.errstate(over="ignore"):  # infinite features are refused, by name, where a method is fitted
                out[start : start + len(piece), k] = values.to_numpy()
    return out


def _float_type(dtypes: Sequence[str], table: Table, columns: Sequence[str]) -> np.dtype:
    """Return the smallest float type that keeps what varies: double for large numbers that differ little."""
    if set(dtypes) <= {"float16", "halffloat"}:
        return np.dtype(np.float16)
    wide = [name for name, dtype in zip(columns, dtypes, strict=True) if dtype in _WIDE]
    return np.dtype(np.float64 if any(_needs_double(table, name) for name in wide) else np.float32)


def _needs_double(table: Table, name: str) -> bool:
    """Return whether rounding to float32 is visible next to the range of a column, or out of float32's range."""
    import pyarrow.compute as pc

    low, high = np.inf, -np.inf
    for start in range(0, len(table), _PIECE):
        piece = table.arrow([name], start, min(start + _PIECE, len(table))).column(0)
        piece = pc.list_flatten(piece) if hasattr(table.features[name], "feature") else piece
        values = piece.drop_null().to_numpy().astype(np.float64)
        values = values[np.isfinite(values)]
        if len(values):
            low, high = min(low, values.min()), max(high, values.max())
    if low > high:
        return False
    largest = max(abs(low), abs(high))
    return bool(largest > 1e36 or 0 < largest < 1e-30 or (low < high and largest * 2.0**-24 > 1e-4 * (high - low)))


def _lists(source: Source, name: str) -> np.ndarray:
    """Convert a column of equally long lists to features (n, d), in chunks."""
    import pyarrow.compute as pc

    table, out, width = source.table, np.empty((0, 0)), -1
    where = f"column {name!r} (input) of {source.name}"
    for start in range(0, len(table), _PIECE):
        piece = table.arrow([name], start, min(start + _PIECE, len(table))).column(0)
        lengths = pc.fill_null(pc.list_value_length(piece), 0).to_numpy()
        if start == 0:
            width = int(lengths[0])
            out = scratch_array((len(table), width), _float_type([table.features[name].feature.dtype], table, [name]))
        if width == 0 or not np.all(lengths == width):
            row = 0 if width == 0 else int(np.argmax(lengths != width))
            found = f"{lengths[row]} numbers" if width == 0 else f"{lengths[row]} numbers, row 0 has {width}"
            raise LongwayError(f"{where}: row {start + row} has {found}; all lists must be equally long")
        values = pc.list_flatten(piece)
        if values.null_count:
            row = start + int(np.argmax(values.is_null().to_numpy())) // width
            raise LongwayError(f"{where} lacks a number in row {row}: fill it in or drop that row")
        with np.errstate(over="ignore"):
            out[start : start + len(piece)] = values.to_numpy().reshape(-1, width)
    return out
