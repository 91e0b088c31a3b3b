"""Read predictions for an audit: from a column of the data, a CSV of ``longway predict``, or an npy file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from longway.data import GroupedDataset
from longway.utils.errors import LongwayError, nearest


def read_predictions(name: str, data: GroupedDataset, argument: str = "predictions") -> np.ndarray:
    """Read one prediction per sample of the data.

    Parameters
    ----------
    name : str
        A column of the data's table, or a file: ``.npy``, or a CSV with a column ``prediction``, optionally with a
        column ``id`` that names the samples and columns ``p(CLASS)`` of probabilities.
    data : GroupedDataset
    argument : str, default "predictions"
        Starts the messages of errors.

    Returns
    -------
    ndarray of shape (n,) or (n, C)
        Labels, or probabilities, in the order of the data.

    Raises
    ------
    LongwayError
        There is no such column or file, or its content does not fit the data.
    """
    if data.table is not None and name in data.table.columns:
        return data.table.values(name, argument, data.source)
    path = Path(name)
    if not path.is_file():
        known = nearest(name, data.table.columns) if data.table is not None else "the data have no other columns"
        raise LongwayError(f"{argument} {name} is neither a file nor a column of {data.source}; {known}")
    where = f"{argument} {path}"
    found = _read_npy(path, where) if path.suffix == ".npy" else _read_csv(path, data, where)
    if len(found) != len(data):
        raise LongwayError(f"{where} has {len(found)} rows, {data.source} has {len(data)}: give one for each")
    return found


def _read_npy(path: Path, where: str) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a false shape takes no memory
        if not isinstance(found, np.ndarray) or found.ndim == 0:
            raise ValueError("it is no array")
        return np.array(found)
    except Exception as error:
        raise LongwayError(f"{where} is not an npy file of plain numbers or texts: {error}") from error


def _read_csv(path: Path, data: GroupedDataset, where: str) -> np.ndarray:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise LongwayError(f"{where} is not a CSV with a header, as `longway predict` writes it: {error}") from error
    if "prediction" not in header:
        raise LongwayError(f"{where} has no column 'prediction'; it has {', '.join(header)[:200]}")
    if any(len(line) != len(header) for line in lines):
        raise LongwayError(f"{where} has lines of different lengths: write it again")
    if "id" in header:
        lines = _in_order(lines, header.index("id"), data, where)
    shares = [place for place, column in enumerate(header) if column.startswith("p(")]
    if not shares:
        return np.array([line[header.index("prediction")] for line in lines])
    try:
        return np.array([[float(line[place]) for place in shares] for line in lines])
    except ValueError as error:
        raise LongwayError(f"{where} holds a probability that is not a number: {error}") from error


def _in_order(lines: list[list[str]], place: int, data: GroupedDataset, where: str) -> list[list[str]]:
    """Return the lines in the order of the data, by the id in this column."""
    by_id = {line[place]: line for line in lines}
    if len(by_id) != len(lines):
        raise LongwayError(f"{where} names a row twice: give each id once")
    ids = [str(name) for name in data.ids]
    missing = [name for name in ids if name not in by_id]
    if missing:
        raise LongwayError(
            f"{where} lacks {len(missing)} rows of {data.source}, the first {missing[0]!r}: predict all of them"
        )
    return [by_id[name] for name in ids]
