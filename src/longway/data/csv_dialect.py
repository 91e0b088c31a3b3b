"""Separators and decimal commas of CSV files, found from their first lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

SEPARATORS = (",", ";", "\t", "|")
LINES = 50
"""Lines that are looked at."""
_DECIMAL_COMMA, _DECIMAL_POINT = re.compile(r"\s*[-+]?\d+,\d+\s*"), re.compile(r"\s*[-+]?\d*\.\d+(e[-+]?\d+)?\s*")


def dialect(path: Path) -> dict[str, Any]:
    r"""Return the options with which pandas reads a CSV file as a person would.

    An empty cell is missing; words such as "None" and "NA" are words.

    Parameters
    ----------
    path : Path

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "t.csv"
    >>> _ = file.write_text("label;f\na;1,5\n")
    >>> found = dialect(file)
    >>> found["sep"], found["decimal"]
    (';', ',')
    """
    options: dict[str, Any] = {
        "keep_default_na": False,
        "na_values": [""],
        "sep": "," if path.suffix != ".tsv" else "\t",
    }
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = [line for line in islice(file, LINES) if line.strip()]
    if lines and (named := re.fullmatch(r"sep=(.)\s*", lines[0])):  # a line that Excel writes and reads
        options |= {"sep": named[1], "skiprows": 1}
        lines = lines[1:]
    elif options["sep"] == ",":
        options["sep"] = _separator(lines)
    cells = [cell for row in csv.reader(lines[1:], delimiter=options["sep"]) for cell in row]
    if any(map(_DECIMAL_COMMA.fullmatch, cells)) and not any(map(_DECIMAL_POINT.fullmatch, cells)):
        options["decimal"] = ","
    return options


def _separator(lines: Sequence[str]) -> str:
    """Return the separator that cuts all lines into equally many cells, two or more; a comma if none does."""
    for each in SEPARATORS:
        widths = {len(row) for row in csv.reader(lines, delimiter=each)}
        if len(widths) == 1 and widths.pop() > 1:
            return each
    return ","
