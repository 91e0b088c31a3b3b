"""CSV and TSV files: separator, encoding, decimal mark and the type of each column, found before reading."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longway.utils.errors import LongwayError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_SEPARATORS = (",", ";", "\t", "|")
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "null", "NULL", "None")
"""Words for a missing value in a column of numbers; in any other column only an empty cell is missing."""

_WHOLE = r"^[-+]?(0|[1-9][0-9]*)$"
_REAL = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$|^[-+]?[iI][nN][fF]([iI][nN][iI][tT][yY])?$"
_COMMA = r"^[-+]?([0-9]+(,[0-9]*)?|,[0-9]+)([eE][-+]?[0-9]+)?$"
_GROUPED = r"^[-+]?[0-9]{1,3}(,[0-9]{3})*$"
_ZERO_FIRST = r"^[-+]?0[0-9]+$"
_TRUTH = ("True", "False", "TRUE", "FALSE", "true", "false")
_ROWS = 65536


def csv_options(path: Path, columns: list[str] | None = None) -> dict[str, Any]:
    """Return the options with which `datasets` reads a file as it was meant.

    Parameters
    ----------
    path : Path
        A CSV or TSV file with a header.
    columns : list of str, optional
        The columns that it must have, if it is one file of several.

    Returns
    -------
    dict
        Separator, encoding, decimal mark, the type of each column and the words for missing values.

    Raises
    ------
    LongwayError
        Decimal commas and decimal points are mixed, or the columns are others.

    Notes
    -----
    A column holds numbers if each of its cells is one or a word for a missing value. Whole numbers that begin with a
    zero, or do not fit 64 bits, stay strings, as do words such as None.
    """
    import datasets

    options = _dialect(path)
    types = _Types(options["sep"])
    for chunk in _chunks(path, options):
        types.add(chunk)
    names = list(types.columns)
    if columns is not None and names != columns:
        other = sorted(set(names) ^ set(columns)) or names
        raise LongwayError(f"{path} has other columns than the files next to it ({', '.join(other[:5])}): move it away")
    found = {name: column.dtype() for name, column in types.columns.items()}
    comma = [name for name, column in types.columns.items() if found[name] == "float64" and column.comma]
    point = [name for name, column in types.columns.items() if found[name] == "float64" and column.point]
    if comma and point:
        raise LongwayError(
            f"{path} has decimal commas in column {comma[0]!r} and decimal points in column {point[0]!r}: write all "
            "numbers with points"
        )
    return {
        **options,
        "decimal": "," if comma else ".",
        "features": datasets.Features({name: datasets.Value(dtype) for name, dtype in found.items()}),
        "keep_default_na": False,
        "na_values": {name: [""] if dtype == "string" else list(_MISSING) for name, dtype in found.items()},
    }


def merged(options: list[dict[str, Any]]) -> dict[str, Any]:
    """Return options for several files of one table; a column that differs in type is one of strings or reals."""
    import datasets

    first = options[0]
    if any(each[name] != first[name] for each in options for name in ("sep", "encoding", "skiprows", "decimal")):
        raise LongwayError("the files of one table differ in separator, encoding or decimal mark: write them alike")
    found = {}
    for name in first["features"]:
        dtypes = {each["features"][name].dtype for each in options}
        numbers = dtypes <= {"int64", "uint64", "float64"}
        found[name] = dtypes.pop() if len(dtypes) == 1 else "float64" if numbers else "string"
    missing = {name: [""] if dtype == "string" else list(_MISSING) for name, dtype in found.items()}
    features = datasets.Features({name: datasets.Value(dtype) for name, dtype in found.items()})
    return {**first, "features": features, "na_values": missing}


def _dialect(path: Path) -> dict[str, Any]:
    """Find separator and encoding from the first line; Excel's ``sep=;`` decides."""
    with path.open("rb") as file:
        head = file.read(2**20)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8"
    lines = head.decode(encoding, errors="replace").lstrip("\ufeff").splitlines() or [""]
    if stated := re.fullmatch(r"sep=(.)", lines[0].strip("\r\n")):
        return {"sep": stated[1], "encoding": encoding, "skiprows": 1}
    header = re.sub(r'"[^"]*"', "", lines[0])
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    sep = max(_SEPARATORS, key=lambda mark: (header.count(mark), mark == usual))
    return {"sep": sep, "encoding": encoding, "skiprows": 0}


def _chunks(path: Path, options: dict[str, Any]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    with pd.read_csv(path, dtype=str, keep_default_na=False, chunksize=_ROWS, **options) as reader:
        yield from reader


class _Column:
    """The kinds of cells that a column has shown so far."""

    def __init__(self, decimal_comma: bool) -> None:
        self.whole = self.real = self.commas = self.truth = True
        self.decimal_comma = decimal_comma
        self.empty = self.point = self.comma = self.filled = False
        self.low = self.high = 0

    def add(self, cells: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        text = pc.utf8_trim_whitespace(cells)
        blank = pc.equal(text, "")
        words = pc.filter(text, pc.invert(blank))
        missing = pc.is_in(words, pa.array(_MISSING))
        numbers = pc.filter(words, pc.invert(missing))
        self.empty |= len(numbers) < len(cells)
        self.truth &= pc.all(pc.is_in(words, pa.array(_TRUTH)), min_count=0).as_py()
        self.filled |= len(numbers) > 0

        def every(pattern: str) -> bool:
            return bool(pc.all(pc.match_substring_regex(numbers, pattern), min_count=0).as_py())

        if pc.any(pc.match_substring_regex(numbers, _ZERO_FIRST), min_count=0).as_py():
            self.whole = self.real = self.commas = False
        if self.whole:
            self.whole = every(_WHOLE)
        if self.whole and len(numbers):
            values = [int(value) for value in pc.unique(numbers).to_pylist()]
            self.low, self.high = min(self.low, *values), max(self.high, *values)
        if self.real:
            self.real = every(_REAL)
            self.point |= self.real and not every(_WHOLE)
        if self.commas and not self.real:
            self.commas = every(_COMMA)
            self.comma |= self.commas and (self.decimal_comma or not every(_GROUPED))

    def dtype(self) -> str:
        if self.filled and self.whole:
            if self.empty:
                return "float64"
            fits = self.low >= -(2**63) and self.high < 2**63
            return "int64" if fits else "uint64" if self.low >= 0 and self.high < 2**64 else "string"
        if self.filled and (self.real or (self.commas and self.comma)):
            return "float64"
        return "bool" if self.filled and self.truth and not self.empty else "string"


class _Types:
    """The columns of a file, with what their cells are."""

    def __init__(self, sep: str) -> None:
        self.decimal_comma = sep != ","
        self.columns: dict[str, _Column] = {}

    def add(self, chunk: pd.DataFrame) -> None:
        import pyarrow as pa

        for name in chunk.columns:
            column = self.columns.setdefault(str(name), _Column(self.decimal_comma))
            column.add(pa.array(chunk[name].astype(object), pa.string(), from_pandas=True))
