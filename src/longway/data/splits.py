"""Train, validation and test parts: from a column, by the hash of a column, or at random within each group."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from longway.utils.errors import LongwayError, LongwayWarning

PARTS = ("train", "val", "test")

_ALIASES = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "validate", "dev"),
    "test": ("test", "testing", "te"),
}
_SUFFIX = re.compile(r"[ _-]?(set|data|split|images?)$")
_PART_OF = {alias: part for part, aliases in _ALIASES.items() for alias in aliases}


def part_name(name: str) -> str | None:
    """Return "train", "val" or "test" for a common spelling of it, None for any other word.

    Examples
    --------
    >>> part_name("Validation"), part_name("test_set"), part_name("holdout")
    ('val', 'test', None)
    """
    word = str(name).strip().lower()
    return _PART_OF.get(word) or _PART_OF.get(_SUFFIX.sub("", word))


def known_parts(names: Iterable[str], where: str) -> dict[str, str]:
    """Assign names to train, val and test; names of other parts are left out if train and test are among the known.

    Parameters
    ----------
    names : iterable of str
    where : str
        Their place, for the warning about names that are left out.

    Returns
    -------
    dict of str to str
        Empty if a name is unknown, and train and test are not both there.
    """
    parts = {name: part_name(name) for name in names}
    known = {name: part for name, part in parts.items() if part is not None}
    others = [name for name in parts if name not in known]
    if not others:
        return known
    if not {"train", "test"} <= set(known.values()):
        return {}
    warnings.warn(
        f"{where}: rows of {_some(others)} are left out, as train and test are there too: to use them, name another "
        "column with split=, or rename the part",
        LongwayWarning,
        stacklevel=2,
    )
    return known


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")


def named_split(values: np.ndarray, column: str) -> np.ndarray:
    """Read a split from a column's values.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Common spellings of train, val and test, or the numbers 0, 1, 2 for them, as Waterbirds and CelebA have it.
    column : str
        Its name, for messages.

    Returns
    -------
    ndarray of str of shape (n,)
        "" for rows of other parts, such as WILDS's id_val, where train and test are among the values.

    Raises
    ------
    LongwayError
        A value is something else, or the numbers are only 0 and 1: those may as well mean "is in the test part".

    Examples
    --------
    >>> import numpy as np
    >>> named_split(np.array([0, 2, 1]), "split").tolist()
    ['train', 'test', 'val']
    """
    found, inverse = np.unique(values, return_inverse=True)
    words = [str(value).strip() for value in found.tolist()]
    if set(words) <= {"0", "1", "2"}:
        if "2" not in words:
            raise LongwayError(
                f"split column {column!r} has only the numbers {' and '.join(words)}, which may mean anything: "
                "write train, val and test there"
            )
        names = [PARTS[int(word)] for word in words]
    else:
        parts = known_parts(words, f"split column {column!r}")
        if not parts:
            unknown = [word for word in words if part_name(word) is None]
            raise LongwayError(
                f"split column {column!r} holds {_some(unknown)}: only train, val and test (or 0, 1, 2) are known; "
                f"to split by the values of a column, use split_by={column!r}"
            )
        names = [parts.get(word, "") for word in words]
    return np.array(names, dtype="<U5")[inverse]


def hashed_split(values: np.ndarray, fractions: Sequence[float], seed: int) -> np.ndarray:
    """Split by the hash of each value: equal values are always in the same part, whatever the rest of the data.

    Parameters
    ----------
    values : ndarray of shape (n,)
        What must not be in two parts, such as a person or a hospital.
    fractions : (float, float, float)
        Expected shares of train, val and test, of the *values*.
    seed : int
        Another seed gives another split.

    Returns
    -------
    ndarray of str of shape (n,)
    """
    limits = _limits(fractions)
    found, inverse = np.unique(values, return_inverse=True)
    digests = (hashlib.blake2b(f"{seed}\0{value}".encode(), digest_size=8).digest() for value in found.tolist())
    place = np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
    return _parts_at(place, limits)[inverse]


def random_split(strata: np.ndarray, fractions: Sequence[float], seed: int) -> np.ndarray:
    """Split at random so that each stratum has the same proportions in all parts, as nearly as its size allows.

    Parameters
    ----------
    strata : ndarray of shape (n,)
        Groups, or classes.
    fractions : (float, float, float)
        Shares of train, val and test. A stratum of one row goes to train.
    seed : int
        Another seed gives another split.

    Returns
    -------
    ndarray of str of shape (n,)
    """
    limits = _limits(fractions)
    rng = np.random.default_rng(seed)
    place = np.empty(len(strata))
    _, codes = np.unique(strata, return_inverse=True)
    for code in range(codes.max(initial=-1) + 1):
        rows = np.flatnonzero(codes == code)
        place[rng.permutation(rows)] = (np.arange(len(rows)) + 0.5) / len(rows)
    return _parts_at(place, limits)


def _limits(fractions: Sequence[float]) -> np.ndarray:
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not np.all(shares >= 0) or abs(shares.sum() - 1) > 1e-6 or shares[0] == 0:
        raise LongwayError(
            f"fractions={tuple(np.ravel(shares).tolist())} cannot be used: give three shares for train, val and test, "
            "none negative, train above 0, that sum to 1"
        )
    return np.cumsum(shares)[:2]


def _parts_at(place: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return np.array(PARTS, dtype="<U5")[np.searchsorted(limits - 1e-12, place, side="right")]
