"""The named columns of a source, read from disk on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longway.utils.errors import LongwayError, nearest

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

_EXACT = 2.0**53

ROW_ID = "_id"
"""Column that names the rows of the source, if it stores one."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a source, with the roles that the source itself defines.

    Parameters
    ----------
    rows : datasets.Dataset
        The columns, memory-mapped.
    label : str, optional
        The column that the source takes for its label (``y`` of an npz, the class folders of images).
    split : str, optional
        The column that holds the source's own split.
    other_lengths : mapping of str to int
        Arrays of the source that cannot be columns, as they have another length.
    unusable : mapping of str to str
        Arrays of the source that cannot be columns, and the reason.
    """

    rows: datasets.Dataset
    label: str | None = None
    split: str | None = None
    other_lengths: Mapping[str, int] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that a user can choose from."""
        return [name for name in self.rows.column_names if name != ROW_ID]

    @property
    def features(self) -> dict[str, Any]:
        """Type of each column, as in `datasets`."""
        return {name: self.rows.features[name] for name in self.columns}

    def take(self, where: np.ndarray) -> Table:
        """Return the rows at these positions."""
        return replace(self, rows=self.rows.select(where, keep_in_memory=True))

    def without(self, names: Iterable[str]) -> Table | None:
        """Return the table without some columns; None when no column is left."""
        dropped = {*names, ROW_ID}
        kept = [name for name in self.rows.column_names if name not in dropped]
        if not kept:
            return None
        label, split = (name if name in kept else None for name in (self.label, self.split))
        return Table(self.rows.select_columns(kept), label, split)

    def check(self, name: str, role: str, source: str) -> None:
        """Raise LongwayError if there is no column of that name."""
        if name in self.other_lengths:
            raise LongwayError(
                f"the arrays of {source} differ in length: {name!r} ({role}) has {self.other_lengths[name]} rows, the "
                f"inputs have {len(self)}"
            )
        if name in self.unusable:
            raise LongwayError(f"the array {name!r} ({role}) of {source} {self.unusable[name]}")
        if name not in self.columns:
            known = nearest(name, self.columns) if self.columns else "it has no columns except its input"
            raise LongwayError(f"{source} has no column {name!r} ({role}); {known}")

    def arrow(self, names: list[str], start: int = 0, stop: int | None = None) -> pa.Table:
        """Read some columns of some rows."""
        return self.rows.select_columns(names).with_format("arrow")[start : len(self) if stop is None else stop]

    def missing(self, name: str, role: str, source: str) -> np.ndarray:
        """Return which rows lack a value of a column: null, NaN, blank, or the class number -1 of `datasets`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.check(name, role, source)
        column = self.arrow([name]).column(0)
        missing = column.is_null(nan_is_null=True)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            missing = pc.or_(missing, pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), True))
        elif hasattr(self.rows.features[name], "names"):
            missing = pc.or_(missing, pc.fill_null(pc.less(column, 0), True))
        return missing.to_numpy()

    def values(self, name: str, role: str, source: str) -> np.ndarray:
        """Read a column of classes: labels, an attribute, groups, a split.

        Parameters
        ----------
        name, role, source : str
            The column, what it is wanted for and where it is from, for messages.

        Returns
        -------
        ndarray of shape (n,)
            Strings without blanks around them, int64, or uint64 if they need it. True and false are 1 and 0; class
            names stand for their numbers where the file has them.

        Raises
        ------
        LongwayError
            There is no such column, it has missing values, or it holds real numbers or lists, for example.
        """
        self.check(name, role, source)
        where = f"column {name!r} ({role}) of {source}"
        column = self.arrow([name]).column(0)
        names = getattr(self.rows.features[name], "names", None)
        values = _to_numpy(column, where)
        if names is not None:
            _refuse_missing(values < 0, where)
            return np.array(names, dtype=str)[values]
        return values


@dataclass(frozen=True, eq=False)
class Source:
    """A data source as found: a table and, if the source itself defines them, the inputs.

    Parameters
    ----------
    name : str
        The place, for messages.
    table : Table
        The columns; an npz or a cache may have none but the row ids.
    X : ndarray, optional
        The inputs of an npz or a feature cache.
    root : Path, optional
        Folder that file names in the table start from.
    """

    name: str
    table: Table
    X: np.ndarray | None = None
    root: Path | None = None

    def take(self, where: np.ndarray) -> Source:
        """Return the rows at these positions; their numbers become their ids."""
        table = self.table
        if ROW_ID not in table.rows.column_names and self.X is None:
            table = replace(table, rows=table.rows.add_column(ROW_ID, np.arange(len(table))))
        return replace(self, table=table.take(where), X=None if self.X is None else self.X[where])


def _refuse_missing(missing: np.ndarray, where: str) -> None:
    rows = np.flatnonzero(missing)
    if len(rows):
        count = f"{len(rows)} missing value{'s' if len(rows) > 1 else ''}"
        raise LongwayError(f"{where} has {count}, the first in row {rows[0]}: fill them in or drop those rows")


def _to_numpy(column: pa.ChunkedArray, where: str) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_null(kind):
        _refuse_missing(np.ones(len(column), dtype=bool), where)
    if column.null_count:
        _refuse_missing(column.is_null().to_numpy(), where)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        values = column.to_numpy()
        return values if np.max(values, initial=0) > np.iinfo(np.int64).max else values.astype(np.int64)
    if pa.types.is_floating(kind):
        values = column.to_numpy().astype(np.float64)
        _refuse_missing(np.isnan(values), where)
        if not np.all(np.mod(values, 1) == 0):
            raise LongwayError(f"{where} holds real numbers: cut them into classes first")
        if np.max(np.abs(values), initial=0) > _EXACT:
            raise LongwayError(f"{where} holds real numbers above 2^53, which are not exact: store strings or integers")
        return values.astype(np.int64)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        strings = column.to_numpy().astype(str)
        trimmed = np.char.strip(strings)
        _refuse_missing(trimmed == "", where)
        return trimmed
    raise LongwayError(f"{where} holds {kind} values: classes must be strings or integers")
