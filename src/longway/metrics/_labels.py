"""Labels of any type, and counts per label without a Python loop over samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from longway.utils.arrays import as_objects
from longway.utils.errors import LongwayError

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Labels = npt.NDArray[Any]
Codes = npt.NDArray[np.intp]
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


def correct_predictions(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> tuple[Labels, Bools]:
    """Return the validated true labels and a mask (n,) of the correct predictions."""
    true, predicted = read_labels(y_true, "y_true"), read_labels(y_pred, "y_pred")
    if len(predicted) != len(true):
        raise LongwayError(f"y_pred has {len(predicted)} labels but y_true has {len(true)}")
    if _is_text(true) != _is_text(predicted):
        kinds = ("text", "numbers") if _is_text(true) else ("numbers", "text")
        raise LongwayError(f"y_true holds {kinds[0]} but y_pred holds {kinds[1]}; give both as the same kind of label")
    return true, np.asarray(true == predicted, dtype=np.bool_)


def count_groups(correct: Bools, groups: npt.ArrayLike) -> GroupCounts:
    """Count samples and correct predictions per group.

    Parameters
    ----------
    correct : ndarray of bool, shape (n,)
    groups : array-like of shape (n,) or (n, G)
        One integer or text label per sample, or a boolean matrix: column g marks the members of group g, and groups may
        overlap.
    """
    array = _to_array(groups, "groups")
    labels = array if array.ndim == 2 else read_labels(groups, "groups")
    if len(labels) != len(correct):
        raise LongwayError(f"groups has {len(labels)} rows but y_true has {len(correct)} labels")
    if labels.ndim == 1:
        return count_labels(correct, labels)
    if labels.dtype != np.bool_:
        raise LongwayError(f"groups is a matrix of {labels.dtype}; a matrix of groups must be boolean")
    n = _column_sums(labels)
    # Copy only the rarer rows: most predictions are usually correct.
    mostly_correct = bool(correct.mean() > 0.5)
    sums = _column_sums(labels[~correct if mostly_correct else correct])
    return GroupCounts(np.arange(labels.shape[1]), n, n - sums if mostly_correct else sums)


def count_labels(correct: Bools, labels: Labels) -> GroupCounts:
    """Count samples and correct predictions per distinct label of (n,)."""
    present, codes = factorise(labels)
    # Codes 2k and 2k + 1 are the wrong and the correct samples of label k, so one pass counts both.
    table = np.bincount(2 * codes + correct, minlength=2 * len(present)).reshape(-1, 2)
    return GroupCounts(present, table.sum(axis=1), table[:, 1].copy())


def name_groups(labels: Labels, names: Sequence[str] | None, train_counts: TrainCounts | None) -> list[str]:
    """Return the names of all groups to report, including empty ones."""
    if names is not None:
        found = [str(name) for name in names]
    elif isinstance(train_counts, Mapping):
        found = [str(name) for name in train_counts]
    elif train_counts is not None and labels.dtype.kind in "iu":
        found = [str(number) for number in range(len(train_counts))]
    else:
        found = [str(label) for label in labels]
    if len(set(found)) != len(found):
        raise LongwayError("names of groups must differ from one another")
    return found


def name_positions(labels: Labels, names: list[str], *, by_number: bool) -> Ints:
    """Return each label's index into the names; with ``by_number``, an integer label is its own index."""
    if by_number and labels.dtype.kind in "iub":
        outside = [label for label in labels.tolist() if not 0 <= label < len(names)]
        if outside:
            raise LongwayError(f"groups has label {outside[0]} but names has {len(names)} entries, numbered from 0")
        return labels.astype(np.int64)
    position = {name: index for index, name in enumerate(names)}
    missing = [str(label) for label in labels if str(label) not in position]
    if missing:
        argument = "names" if by_number else "train_counts"
        raise LongwayError(f"{argument} lacks group {missing[0]!r}, which occurs in groups")
    return np.array([position[str(label)] for label in labels], dtype=np.int64)


def align_train_counts(train_counts: TrainCounts | None, names: list[str]) -> list[int] | None:
    """Return the training counts in the order of the names."""
    if train_counts is None:
        return None
    if isinstance(train_counts, Mapping):
        by_name = {str(name): count for name, count in train_counts.items()}
        missing = [name for name in names if name not in by_name]
        if missing:
            raise LongwayError(f"train_counts lacks group {missing[0]!r}; give 0 if training never saw it")
        counts = [by_name[name] for name in names]
    else:
        counts = list(train_counts)
    if len(counts) != len(names):
        raise LongwayError(f"train_counts has {len(counts)} entries but there are {len(names)} groups")
    if not all(isinstance(count, Real) and count >= 0 and float(count).is_integer() for count in counts):
        raise LongwayError("train_counts must be whole numbers, 0 or more")
    return [int(count) for count in counts]


def read_labels(values: npt.ArrayLike, argument: str) -> Labels:
    """Return labels (n,) as an integer, boolean, fixed-width text or all-``str`` object array.

    Raises
    ------
    LongwayError
        If the labels are empty, not one-dimensional, missing, fractional or of mixed types; the message names the
        argument.
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


def factorise(labels: Labels) -> tuple[Labels, Codes]:
    """Return the sorted distinct labels (k,) and each sample's index into them (n,).

    Equals ``np.unique(labels, return_inverse=True)`` on the output of `read_labels`, but does not sort all samples.

    Examples
    --------
    >>> factorise(np.array([7, 5, 7]))
    (array([5, 7]), array([1, 0, 1]))
    """
    import pandas as pd

    if labels.dtype.kind == "U" and (found := _factorise_text(np.ascontiguousarray(labels))) is not None:
        return found
    codes, present = pd.factorize(labels, sort=True)
    return present, codes


def _factorise_text(labels: Labels) -> tuple[Labels, Codes] | None:
    """Factorise fixed-width text with a hash table in NumPy; None if every try has collisions (very many labels).

    pandas first makes a Python string of each sample, which takes two to three times as long as all of this.
    """
    import pandas as pd

    if labels.dtype.itemsize == 0:
        return None
    characters = labels.view(np.uint32).reshape(len(labels), -1)
    words = _words(labels)
    # A table of 2**14 slots fits in the processor's cache; larger ones are for thousands of labels.
    for seed, bits in enumerate((14, 16, 20)):
        # Multiply-shift hashing: random odd factors, of whose products' sum the highest bits are kept.
        factors = np.random.default_rng(seed).integers(2**63, size=len(words), dtype=np.uint64) | np.uint64(1)
        key = words[0] * factors[0]
        for word, factor in zip(words[1:], factors[1:], strict=True):
            key += word * factor
        slot = (key >> np.uint64(64 - bits)).astype(np.intp)
        example = np.empty(2**bits, dtype=np.intp)
        example[slot] = np.arange(len(labels))
        # Exact: all samples in a slot must equal the slot's example.
        if np.array_equal(characters, characters[example[slot]]):
            codes, slots = pd.factorize(slot)
            present = labels[example[slots]]
            order = np.argsort(present)
            return present[order], np.argsort(order)[codes]
    return None


def _words(labels: Labels) -> list[npt.NDArray[np.uint64]]:
    """Return views of text (n,), two characters each, that cover it; the last two may overlap."""
    size = labels.dtype.itemsize
    if size < 8:
        return [labels.view(np.uint32).astype(np.uint64)]
    starts = [*range(0, size - 8, 8), size - 8]
    return [np.ndarray(len(labels), np.uint64, labels.data, start, (size,)) for start in starts]


def _to_array(values: npt.ArrayLike, argument: str) -> Labels:
    try:
        array, _ = as_objects(values)
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
    # From 2**53 on, float64 skips integers, so distinct labels may have become equal.
    if (whole != array).any() or (np.abs(array) >= 2**53).any():
        raise LongwayError(f"{argument} has fractional values; pass predicted labels, not probabilities or scores")
    return whole.astype(np.int64)


def _column_sums(matrix: Bools, block: int = 255) -> Ints:
    """Count the True values per column; 255 rows cannot overflow a byte, and NumPy's own sum takes twice as long."""
    rows, columns = matrix.shape
    octets = np.ascontiguousarray(matrix).view(np.uint8)
    full = rows // block * block
    sums = octets[:full].reshape(-1, block, columns).sum(axis=1, dtype=np.uint8).sum(axis=0, dtype=np.int64)
    return np.asarray(sums + octets[full:].sum(axis=0, dtype=np.int64))


def _is_text(labels: Labels) -> bool:
    return labels.dtype.kind in "UO"
