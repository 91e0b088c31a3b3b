"""Labels of any type, and counts by label without a Python loop over samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from longway.utils.errors import LongwayError

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Labels = npt.NDArray[Any]
TrainCounts: TypeAlias = Mapping[Any, int] | Sequence[int] | Ints

_MISSING_TYPES = {"NoneType", "NAType", "NaTType"}


class GroupCounts(NamedTuple):
    """Counts per group; the three arrays have shape (G,).

    Attributes
    ----------
    labels : ndarray
        The groups' labels in sorted order, or the column numbers of a boolean matrix.
    n : ndarray of int64
        Samples in each group.
    correct : ndarray of int64
        Correctly predicted samples in each group.
    """

    labels: Labels
    n: Ints
    correct: Ints


def group_counts(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, groups: npt.ArrayLike) -> GroupCounts:
    """Count samples and correct predictions per group, without a loop over samples or groups.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Integer, boolean or text labels.
    groups : array-like of shape (n,) or (n, G)
        One integer or text label per sample, or a boolean matrix: column g marks the members of
        group g, and groups may overlap.

    Raises
    ------
    LongwayError
        If lengths differ, labels are missing or not labels, or a matrix is not boolean.

    Examples
    --------
    >>> counts = group_counts([0, 1, 1], [0, 1, 0], ["water", "land", "land"])
    >>> for label, n, correct in zip(*counts):
    ...     print(label, n, correct)
    land 2 1
    water 1 1
    """
    return count_groups(correct_predictions(y_true, y_pred)[1], groups)


def correct_predictions(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> tuple[Labels, Bools]:
    """Return the true labels, checked, and a mask (n,) of the correct predictions."""
    true, predicted = read_labels(y_true, "y_true"), read_labels(y_pred, "y_pred")
    if len(predicted) != len(true):
        raise LongwayError(f"y_pred has {len(predicted)} labels but y_true has {len(true)}")
    if _is_text(true) != _is_text(predicted):
        kinds = ("text", "numbers") if _is_text(true) else ("numbers", "text")
        raise LongwayError(f"y_true holds {kinds[0]} but y_pred holds {kinds[1]}; give both as the same kind of label")
    return true, np.asarray(true == predicted, dtype=np.bool_)


def count_groups(hits: Bools, groups: npt.ArrayLike) -> GroupCounts:
    """Count samples and hits of (n,) per group label, or per column of a boolean (n, G) matrix."""
    array = _to_array(groups, "groups")
    labels = array if array.ndim == 2 else read_labels(groups, "groups")
    if len(labels) != len(hits):
        raise LongwayError(f"groups has {len(labels)} rows but y_true has {len(hits)} labels")
    if labels.ndim == 1:
        return count_labels(hits, labels)
    if labels.dtype != np.bool_:
        raise LongwayError(f"groups is a matrix of {labels.dtype}; a matrix of groups must be boolean")
    n = _column_sums(labels)
    # Only the rarer rows are copied: most predictions are usually right.
    mostly_right = bool(hits.mean() > 0.5)
    sums = _column_sums(labels[~hits if mostly_right else hits])
    return GroupCounts(np.arange(labels.shape[1]), n, n - sums if mostly_right else sums)


def count_labels(hits: Bools, labels: Labels) -> GroupCounts:
    """Count samples and hits per distinct label, in one pass over the (n,) codes."""
    present, codes = factorise(labels)
    table = np.bincount(2 * codes + hits, minlength=2 * len(present)).reshape(-1, 2)
    return GroupCounts(present, table.sum(axis=1), table[:, 1].copy())


def known_names(
    labels: Labels,
    names: Sequence[str] | None,
    train_counts: TrainCounts | None,
) -> list[str]:
    """Name all groups to report, including empty ones."""
    if names is not None:
        known = [str(name) for name in names]
    elif isinstance(train_counts, Mapping):
        known = [str(name) for name in train_counts]
    elif train_counts is not None and labels.dtype.kind in "iu":
        known = [str(number) for number in range(len(train_counts))]
    else:
        known = [str(label) for label in labels]
    if len(set(known)) != len(known):
        raise LongwayError("names of groups must differ from one another")
    return known


def positions(labels: Labels, known: list[str], *, by_number: bool) -> Ints:
    """Find each label's index among the known names: by number if these are names of numbered groups."""
    if by_number and labels.dtype.kind in "iub":
        outside = [label for label in labels.tolist() if not 0 <= label < len(known)]
        if outside:
            raise LongwayError(f"groups has label {outside[0]} but names has {len(known)} entries, numbered from 0")
        return labels.astype(np.int64)
    place = {name: index for index, name in enumerate(known)}
    missing = [str(label) for label in labels if str(label) not in place]
    if missing:
        argument = "names" if by_number else "train_counts"
        raise LongwayError(f"{argument} lacks group {missing[0]!r}, which occurs in groups")
    return np.array([place[str(label)] for label in labels], dtype=np.int64)


def aligned(train_counts: TrainCounts | None, known: list[str]) -> list[int] | None:
    """Reorder the training counts by group."""
    if train_counts is None:
        return None
    if isinstance(train_counts, Mapping):
        by_name = {str(name): count for name, count in train_counts.items()}
        missing = [name for name in known if name not in by_name]
        if missing:
            raise LongwayError(f"train_counts lacks group {missing[0]!r}; give 0 if training never saw it")
        counts = [by_name[name] for name in known]
    else:
        counts = list(train_counts)
    if len(counts) != len(known):
        raise LongwayError(f"train_counts has {len(counts)} entries but there are {len(known)} groups")
    if not all(isinstance(count, Real) and count >= 0 and float(count).is_integer() for count in counts):
        raise LongwayError("train_counts must be whole numbers, 0 or more")
    return [int(count) for count in counts]


def read_labels(values: npt.ArrayLike, argument: str) -> Labels:
    """Return labels (n,) as an integer, boolean, fixed-width text or all-``str`` object array.

    Raises
    ------
    LongwayError
        Naming the argument, if it is empty, not one-dimensional, has missing labels, fractions or
        mixed types.
    """
    array = _to_array(values, argument)
    if array.ndim != 1:
        raise LongwayError(f"{argument} has shape {array.shape}; labels must have shape (n,)")
    if len(array) == 0:
        raise LongwayError(f"{argument} is empty")
    if array.dtype.kind == "O":
        array = _from_objects(array, argument)
    if array.dtype.kind == "f":
        array = _from_floats(array, argument)
    if array.dtype.kind not in "iubUO":
        raise LongwayError(f"{argument} has type {array.dtype}; labels must be integers or text")
    return array


def factorise(labels: Labels) -> tuple[Labels, npt.NDArray[np.intp]]:
    """Return the sorted distinct labels (k,) and each sample's index into them (n,).

    Like ``np.unique(labels, return_inverse=True)`` on what `read_labels` returns, without its sort of all samples.

    Examples
    --------
    >>> factorise(np.array([7, 5, 7]))
    (array([5, 7]), array([1, 0, 1]))
    """
    kind = labels.dtype.kind
    if kind == "O":
        return _factorise_objects(labels)
    codes = _code_text(labels) if kind == "U" else _code_integers(labels)
    if codes is None:
        present, inverse = np.unique(labels, return_inverse=True)
        return present, inverse
    seen = np.flatnonzero(np.bincount(codes))
    where = np.empty(seen[-1] + 1, dtype=np.intp)
    example = np.empty_like(where)
    example[codes] = np.arange(len(codes))
    present = labels[example[seen]]
    order = np.argsort(present)
    where[seen[order]] = np.arange(len(seen))
    return present[order], where[codes]


def _to_array(values: npt.ArrayLike, argument: str) -> Labels:
    try:
        array = np.asarray(values)
        # NumPy turns [None, "a"] or ["a", nan] into text without a word; keep the objects, to see them.
        if array.dtype.kind == "U" and not hasattr(values, "__array__"):
            array = np.asarray(values, dtype=object)
        return array.astype(str) if array.dtype.kind == "S" else array
    except (TypeError, ValueError, RuntimeError) as error:
        raise LongwayError(f"{argument} cannot be read as an array: {error}") from error


def _from_objects(array: Labels, argument: str) -> Labels:
    kinds = set(map(type, array.tolist()))
    if kinds <= {str, np.str_}:
        return array
    names = sorted({kind.__name__ for kind in kinds})
    text = any(issubclass(kind, str) for kind in kinds)
    if _MISSING_TYPES.intersection(names) or (text and any(isinstance(v, float) and v != v for v in array)):
        raise LongwayError(f"{argument} has missing labels (None or NaN); drop those samples or name them")
    if all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return array.astype(np.bool_)
    if all(issubclass(kind, bool | int | np.integer | np.bool_ | float | np.floating) for kind in kinds):
        whole = not any(issubclass(kind, float | np.floating) for kind in kinds)
        try:
            return array.astype(np.int64 if whole else np.float64)
        except OverflowError as error:
            raise LongwayError(f"{argument} has an integer label outside 64 bits") from error
    raise LongwayError(f"{argument} mixes types ({', '.join(names)}); labels must be all integers or all text")


def _from_floats(array: Labels, argument: str) -> Ints:
    if not np.isfinite(array).all():
        raise LongwayError(f"{argument} has missing labels (NaN or infinite); drop those samples")
    whole = np.trunc(array)
    if (whole != array).any() or (np.abs(array) >= 2**53).any():
        raise LongwayError(f"{argument} has fractional values; pass predicted labels, not probabilities or scores")
    return whole.astype(np.int64)


def _column_sums(matrix: Bools, block: int = 255) -> Ints:
    """Count the True values per column; bytes cannot overflow within 255 rows and add 8 times faster than int64."""
    rows, columns = matrix.shape
    octets = np.ascontiguousarray(matrix).view(np.uint8)
    full = rows // block * block
    sums = octets[:full].reshape(-1, block, columns).sum(axis=1, dtype=np.uint8).sum(axis=0, dtype=np.int64)
    return np.asarray(sums + octets[full:].sum(axis=0, dtype=np.int64))


def _is_text(labels: Labels) -> bool:
    return labels.dtype.kind in "UO"


def _code_integers(labels: Labels) -> npt.NDArray[np.intp] | None:
    """Return integers as offsets from the smallest; None if their range is too wide for a table."""
    if labels.dtype.kind == "b":
        return labels.astype(np.intp)
    low, high = int(labels.min()), int(labels.max())
    if high - low > 2 * len(labels) + 1000:
        return None
    wide = labels if labels.dtype == np.uint64 else labels.astype(np.int64, copy=False)
    return (wide - wide.dtype.type(low)).astype(np.intp, copy=False)


def _code_text(labels: Labels) -> npt.NDArray[np.intp] | None:
    """Return codes of fixed-width text by hashing into a table; exact, because collisions are detected and retried.

    Sorting text costs ten times as much. None if no try is free of clashes (very many distinct labels).
    """
    if labels.dtype.itemsize == 0:
        return np.zeros(len(labels), dtype=np.intp)
    labels = np.ascontiguousarray(labels)
    characters = labels.view(np.uint32).reshape(len(labels), -1)
    words = _words(labels)
    index = np.arange(len(labels))
    # A small table stays in the processor's cache; the large ones are for thousands of labels.
    for seed, bits in enumerate((14, 16, 20)):
        factors = np.random.default_rng(seed).integers(2**63, size=len(words), dtype=np.uint64) | np.uint64(1)
        key = words[0] * factors[0]
        for word, factor in zip(words[1:], factors[1:], strict=True):
            key += word * factor
        slot = (key >> np.uint64(64 - bits)).astype(np.intp)
        table = np.empty(2**bits, dtype=np.intp)
        table[slot] = index
        if np.array_equal(characters, characters[table[slot]]):
            return slot
    return None


def _words(labels: Labels) -> list[npt.NDArray[np.uint64]]:
    """Return views of text (n,), two characters each, that cover it; the last two may overlap."""
    size = labels.dtype.itemsize
    if size < 8:
        return [labels.view(np.uint32).astype(np.uint64)]
    starts = [*range(0, size - 8, 8), size - 8]
    return [np.ndarray(len(labels), np.uint64, labels.data, start, (size,)) for start in starts]


def _factorise_objects(labels: Labels) -> tuple[Labels, npt.NDArray[np.intp]]:
    values = labels.tolist()
    present = sorted(set(values))
    place = {value: index for index, value in enumerate(present)}
    codes = np.fromiter(map(place.__getitem__, values), dtype=np.intp, count=len(values))
    return np.array(present, dtype=object), codes
