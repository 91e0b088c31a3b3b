"""Signals that are read off columns beside the inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from longway.auditing.signals import Signal

VALUES = 20
"""Values of a column that are tested, the most frequent ones."""
NUMBERS_FROM = 10
"""A column of whole numbers with more values than this is a quantity, not a list of kinds."""
RARE = 5
"""A value in fewer rows than this is left out."""


def column_signals(columns: Mapping[str, np.ndarray]) -> tuple[list[Signal], list[str]]:
    """Return a signal for each column of numbers and for each value of each other column, and notes.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (n,)
        Numbers, strings or truth values. Missing numbers are set to the column's median.
    """
    found: list[Signal] = []
    notes: list[str] = []
    for index, (name, raw) in enumerate(columns.items()):
        values = np.asarray(raw)
        if values.dtype.kind == "O":
            values = values.astype(str)
        numeric = values.dtype.kind in "fiu"
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) < 2:
            continue
        if numeric and (values.dtype.kind == "f" or len(distinct) > NUMBERS_FROM):
            numbers = values.astype(np.float64)
            missing = ~np.isfinite(numbers)
            if missing.any():
                notes.append(f"column {name!r} lacks a number in {int(missing.sum())} rows: the median stands in")
                numbers = np.where(missing, np.median(numbers[~missing]) if not missing.all() else 0.0, numbers)
            spread = numbers.std()
            if spread > 0:
                scaled = (numbers - numbers.mean()) / spread
                found.append(Signal(name, f"The column {name!r}.", "metadata", index, scaled))
            continue
        if len(distinct) > len(values) / 2:
            notes.append(f"column {name!r} has a value of its own in most rows: it was not tested")
            continue
        found += _values(name, index, values, distinct, counts)
    return found, notes


def _values(name: str, index: int, values: np.ndarray, distinct: np.ndarray, counts: np.ndarray) -> list[Signal]:
    """Return whether each row has a value, for the frequent values of a column; one signal where there are two."""
    order = np.argsort(-counts, kind="stable")[:VALUES]
    chosen = [distinct[k] for k in order if counts[k] >= RARE]
    if len(distinct) == 2:
        chosen = chosen[-1:]
    return [
        Signal(
            f"{name} = {value}",
            f"Whether the column {name!r} is {str(value)!r}.",
            "metadata",
            index,
            (values == value).astype(np.float64),
            cut=0.5,
        )
        for value in chosen
    ]


def same_as_label(values: np.ndarray, codes: np.ndarray) -> bool:
    """Return whether values (n,) are a one-to-one recoding of the classes.

    Examples
    --------
    >>> same_as_label(np.array([5.0, 7.0, 5.0]), np.array([1, 0, 1]))
    True
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    n_classes = int(codes.max()) + 1
    return len(distinct) == n_classes == len(np.unique(inverse * n_classes + codes))
