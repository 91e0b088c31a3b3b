"""Turn metadata columns into signals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from longway.auditing.estimates import area
from longway.auditing.probes import ORDINARY, cross_fit_heads
from longway.auditing.signals import Signal
from longway.utils.records import Estimate

MAX_VALUES = 20
"""The most frequent values of a column are tested, at most this many."""
MAX_CATEGORIES = 10
"""A column of integers with more distinct values than this is a quantity, not a category."""
MIN_COUNT = 5
"""A value of fewer samples is ignored."""


def column_signals(columns: Mapping[str, np.ndarray]) -> tuple[list[Signal], list[str]]:
    """Return a signal for each numeric column and for each value of the other columns, and notes.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (n,)
        Numbers, strings or booleans. Missing numbers are replaced by the column's median.
    """
    found: list[Signal] = []
    notes: list[str] = []
    for index, (name, raw) in enumerate(columns.items()):
        values = np.asarray(raw)
        if values.dtype.kind == "O":
            values = values.astype(str)
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) < 2:
            continue
        if values.dtype.kind == "f" or (values.dtype.kind in "iu" and len(distinct) > MAX_CATEGORIES):
            numbers = values.astype(np.float64)
            missing = ~np.isfinite(numbers)
            if missing.any():
                notes.append(f"column {name!r} has {int(missing.sum())} missing numbers, replaced by its median")
                numbers = np.where(missing, np.median(numbers[~missing]) if not missing.all() else 0.0, numbers)
            std = numbers.std()
            if std > 0:
                scaled = (numbers - numbers.mean()) / std
                found.append(Signal(name, f"The column {name!r}.", "metadata", index, scaled, column=name))
            continue
        if len(distinct) > len(values) / 2:
            notes.append(f"column {name!r} was not tested: most samples have a value of their own")
            continue
        found += _value_signals(name, index, values, distinct, counts)
    return found, notes


def _value_signals(name: str, index: int, values: np.ndarray, distinct: np.ndarray, counts: np.ndarray) -> list[Signal]:
    """Return an indicator of each frequent value of a column; of two values, only the rarer."""
    order = np.argsort(-counts, kind="stable")[:MAX_VALUES]
    chosen = [distinct[k] for k in order if counts[k] >= MIN_COUNT]
    opposite = ""
    if len(distinct) == 2:
        chosen = chosen[-1:]
        opposite = f"{name} = {next((value for value in distinct if value not in chosen), '')}"
    return [
        Signal(
            f"{name} = {value}",
            f"Whether the column {name!r} is {str(value)!r}.",
            "metadata",
            index,
            (values == value).astype(np.float64),
            cut=0.5,
            column=name,
            opposite=opposite,
        )
        for value in chosen
    ]


def detectability(signal: Signal, points: np.ndarray, halves: tuple[np.ndarray, np.ndarray]) -> Estimate | None:
    """Return the area under the curve with which a linear head reads a column from points (n, k), cross-fitted.

    A quantity is split at its median. Returns None if either side has too few samples in a half.
    """
    has = signal.values > (float(np.median(signal.values)) if signal.cut is None else signal.cut)
    if any(min(has[half].sum(), (~has[half]).sum()) < MIN_COUNT for half in halves):
        return None
    codes = has.astype(np.int64)
    logits, _ = cross_fit_heads(points, codes, codes, 2, ORDINARY, halves)
    return area(has, logits[:, 1] - logits[:, 0])


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
