"""Rows that occur more than once: copies, copies with another label, and copies in other parts of a split."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np

from longway.data import GroupedDataset, ImageColumn
from longway.data.lazy_columns import TextColumn
from longway.utils.storage import new_hash

PIECE = 4096
"""Rows that are read at once."""


def copies(data: GroupedDataset) -> list[str]:
    """Say how many rows repeat another one, lie in another part as well, or have another label.

    Features and images in arrays are equal number by number, image files byte by byte, texts but for case, spaces and
    the way in which accents are written. All rows are looked at, in pieces.

    Parameters
    ----------
    data : GroupedDataset
        Labelled.

    Returns
    -------
    list of str
        A sentence for each thing that was found; they hold names of rows, which are untrusted text.
    """
    digests = np.fromiter((_number(content, row) for row, content in enumerate(_contents(data.X))), np.int64, len(data))
    distinct, which, counts = np.unique(digests, return_inverse=True, return_counts=True)
    if len(distinct) == len(digests):
        return []
    more = len(digests) - len(distinct)
    notes = [f"{more:,} {'row repeats' if more == 1 else 'rows repeat'} another row"]
    if data.split is not None:
        apart = _differ(which, np.unique(data.split, return_inverse=True)[1])
        if apart.any():
            one, other = _pair(which, np.asarray(data.split), int(np.argmax(apart)))
            names = np.asarray(data.ids)[[one, other]].tolist()
            notes.append(
                f"leakage: {int(counts[apart].sum()):,} rows are equal to rows of another part of the split, such as "
                f"{str(names[0])!r} and {str(names[1])!r}"
            )
    different = int(_differ(which, np.unique(np.asarray(data.y), return_inverse=True)[1]).sum())
    if different:
        notes.append(f"{different:,} repeated {'row has' if different == 1 else 'rows have'} different labels")
    return notes


def _contents(X: Any) -> Iterator[bytes | None]:
    """Yield what tells each row; None where it cannot be read."""
    for start in range(0, len(X), PIECE):
        where = np.arange(start, min(start + PIECE, len(X)))
        if isinstance(X, ImageColumn):
            yield from X.encoded(where)
        elif isinstance(X, TextColumn):
            yield from (_plain(text).encode("utf-8", "surrogatepass") for text in X.read(where))
        else:
            yield from (row.tobytes() for row in np.ascontiguousarray(X[start : start + PIECE]))


def _plain(text: str) -> str:
    r"""Return a text without what two copies of it may differ in.

    Examples
    --------
    >>> _plain("Cafe\u0301  au\nLAIT ") == _plain("caf\u00e9 au lait")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _number(content: bytes | None, row: int) -> int:
    """Return 64 bits of a hash of the content; of the row's number where there is none, so that it equals no other."""
    digest = new_hash()
    digest.update(b"row %d" % row if content is None else content)
    return int.from_bytes(digest.digest()[:8], "little", signed=True)


def _differ(which: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return whether the rows that are equal have different codes, (number of distinct rows,)."""
    low, high = np.full(which.max() + 1, codes.max() + 1), np.full(which.max() + 1, -1)
    np.minimum.at(low, which, codes)
    np.maximum.at(high, which, codes)
    return low != high


def _pair(which: np.ndarray, split: np.ndarray, k: int) -> tuple[int, int]:
    """Return the first two rows with content k that lie in different parts."""
    rows = np.flatnonzero(which == k)
    return int(rows[0]), int(rows[np.argmax(split[rows] != split[rows[0]])])
