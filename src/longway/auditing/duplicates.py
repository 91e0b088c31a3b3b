"""Find samples that occur more than once: duplicates, conflicting labels, and leakage between parts of a split."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from longway.data import GroupedDataset, ImageColumn
from longway.data.lazy_columns import TextColumn
from longway.utils.storage import new_hash

PIECE = 4096
"""Rows that are read at a time."""


def find_duplicates(data: GroupedDataset) -> list[str]:
    """Count the samples that repeat another one, that also lie in another part, or that have another label.

    Features and image arrays are compared number by number, image files byte by byte, and texts after normalising case,
    spaces and accents. All rows are compared, piece by piece.

    Parameters
    ----------
    data : GroupedDataset
        Labelled.

    Returns
    -------
    list of str
        One sentence per finding; they hold names of samples, which are untrusted text.
    """
    digests = np.fromiter((_digest(content, row) for row, content in enumerate(_contents(data.X))), np.int64, len(data))
    distinct, which, counts = np.unique(digests, return_inverse=True, return_counts=True)
    if len(distinct) == len(digests):
        return []
    repeats = len(digests) - len(distinct)
    notes = [f"{repeats:,} {'row repeats' if repeats == 1 else 'rows repeat'} another row"]
    if data.split is not None:
        split = np.asarray(data.split)
        leaking = _differ(which, split)
        if leaking.any():
            rows = np.flatnonzero(which == np.argmax(leaking))
            pair = rows[0], rows[np.argmax(split[rows] != split[rows[0]])]
            one, other = (str(name) for name in np.asarray(data.ids)[list(pair)].tolist())
            notes.append(
                f"leakage: {int(counts[leaking].sum()):,} rows are equal to rows of another part of the split, such as "
                f"{one!r} and {other!r}"
            )
    conflicts = int(_differ(which, np.asarray(data.y)).sum())
    if conflicts:
        notes.append(f"{conflicts:,} repeated {'row has' if conflicts == 1 else 'rows have'} different labels")
    return notes


def _contents(X: Any) -> Iterator[bytes | None]:
    """Yield the content of each row; None if it cannot be read."""
    for start in range(0, len(X), PIECE):
        where = np.arange(start, min(start + PIECE, len(X)))
        if isinstance(X, ImageColumn):
            yield from X.encoded(where)
        elif isinstance(X, TextColumn):
            yield from (_normalised(text).encode("utf-8", "surrogatepass") for text in X.read(where))
        else:
            yield from (row.tobytes() for row in np.ascontiguousarray(X[start : start + PIECE]))


def _normalised(text: str) -> str:
    r"""Normalise the case, spaces and accents of a text.

    Examples
    --------
    >>> _normalised("Cafe\u0301  au\nLAIT ") == _normalised("caf\u00e9 au lait")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _digest(content: bytes | None, row: int) -> int:
    """Return 64 bits of a hash of the content; an unreadable row is hashed by its number, so it equals no other."""
    digest = new_hash()
    digest.update(b"row %d" % row if content is None else content)
    return int.from_bytes(digest.digest()[:8], "little", signed=True)


def _differ(which: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return, for each distinct content, whether the rows that hold it have different values."""
    return pd.Series(values).groupby(which).nunique().to_numpy() > 1
