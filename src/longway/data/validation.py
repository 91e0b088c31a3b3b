"""Checks of user input: each returns clean arrays or raises one clear line that names the argument."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from longway.utils.arrays import as_numpy, as_objects
from longway.utils.errors import LongwayError
from longway.utils.memmap import release

CHUNK_BYTES = 64 * 2**20

PIXEL_RANGE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
"""The largest value of each integer pixel type, which is scaled to 1."""


class WrongTypeError(LongwayError, TypeError):
    """Input of a type that cannot be used; scikit-learn's contract asks for a TypeError."""


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Turn scikit-learn's error about bad input into one line that names the argument."""
    try:
        yield
    except LongwayError:
        raise
    except (ValueError, TypeError) as error:
        # The array itself, which scikit-learn prints in full, is left out
        line = " ".join(re.sub(r":\s+array=.*\.\n|\n\[.*", ". ", str(error), flags=re.DOTALL).split())
        kind = WrongTypeError if isinstance(error, TypeError) else LongwayError
        raise kind(line if re.search(rf"\b{name}\b", line) else f"{name} cannot be used: {line}") from error


def check_images(X: Any, name: str) -> np.ndarray:
    """Return images as a float array (n, c, h, w) in [0, 1]; uint8 and uint16 are scaled to float32."""
    array = np.asarray(as_numpy(X))
    if len(array) == 0:
        raise LongwayError(f"{name} is empty: found array with 0 sample(s), at least 1 is required")
    if array.shape[1] not in (1, 2, 3, 4):
        raise LongwayError(
            f"{name} has shape {array.shape}: images must be (n, channels, height, width) with 1 to 4 channels"
        )
    if min(array.shape[2:]) < 4:
        raise LongwayError(f"{name} holds images of {array.shape[2]}x{array.shape[3]} pixels; at least 4x4 are needed")
    if array.dtype in PIXEL_RANGE:
        return array.astype(np.float32) / PIXEL_RANGE[array.dtype]
    if array.dtype.kind not in "fiub":
        raise LongwayError(f"{name} holds images of type {array.dtype}; give floats in [0, 1] or uint8")
    _check_pixels(array, name)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def check_numbers(X: Any, name: str) -> np.ndarray:
    """Return features (n, d) or images (n, c, h, w) as floats, images in [0, 1]; NaN and infinity stay."""
    X = as_numpy(X)
    if getattr(X, "ndim", 2) == 4:
        return check_images(X, name)
    with one_line_errors(name):
        found: np.ndarray = check_array(X, dtype=[np.float64, np.float32, np.float16], ensure_all_finite=False)
    return found


def _check_pixels(X: np.ndarray, name: str) -> None:
    """Raise if pixels are out of [0, 1] by more than resizing explains; ``check_finite`` finds NaN and infinity."""
    step = max(1, CHUNK_BYTES // max(1, X[:1].nbytes))
    for start in range(0, len(X), step):
        low, high = (float(find(X[start : start + step])) for find in (np.min, np.max))
        if math.isfinite(low) and math.isfinite(high) and (low < -0.01 or high > 1.01):
            raise LongwayError(
                f"{name} holds pixel values from {low:g} to {high:g}: bring them to [0, 1], or give uint8 or uint16 as "
                "they are"
            )


def check_finite(X: np.ndarray, name: str) -> None:
    """Raise on NaN and infinity; the array is read in chunks."""
    step = max(1, CHUNK_BYTES // max(1, X[:1].nbytes))
    for start in range(0, len(X), step):
        good = np.isfinite(X[start : start + step])
        if not good.all():
            row = start + int(np.argmin(good.reshape(len(good), -1).all(1)))
            where = tuple(int(i) for i in np.argwhere(~good[row - start])[0])
            bad = "NaN" if np.isnan(X[(row, *where)]) else "inf"
            raise LongwayError(
                f"{name} contains NaN or infinity: {bad} at row {row}, position {', '.join(map(str, where))}; "
                "drop or impute such rows"
            )
        release(X)


def check_logits(logits: np.ndarray, n_classes: int) -> None:
    """Raise unless the output of a model has one finite number for each class."""
    if logits.ndim != 2 or logits.shape[1] != n_classes:
        raise LongwayError(
            f"the model gives outputs of shape {logits.shape[1:]} for {n_classes} classes: it is damaged, fit again"
        )
    bad = int((~np.isfinite(logits)).any(1).sum())
    if bad:
        raise LongwayError(
            f"the model gives NaN or infinite logits for {bad} of {len(logits)} rows: check the range of X, or fit "
            "again with scaled features or a smaller learning rate"
        )


def check_labels(y: Any, n: int, name: str = "y") -> np.ndarray:
    """Return labels (n,) as a numpy array of strings or numbers."""
    if y is None:
        raise LongwayError(f"{name} is None: this estimator requires y to be passed, but the target y is None")
    with one_line_errors(name):
        array, missing = as_objects(column_or_1d(as_objects(y)[0], warn=True))
    missing &= ~_infinite(array)
    if missing.any():
        raise LongwayError(
            f"{name} has no label at row {int(missing.argmax())} ({int(missing.sum())} in all): drop these rows"
        )
    if array.dtype.kind == "O" and not all(isinstance(value, str) for value in array):
        array = np.array(array.tolist())
    if array.dtype.kind not in "OUbiuf":
        raise LongwayError(f"{name} holds labels of type {array.dtype}: give strings or whole numbers")
    if array.dtype.kind == "f":
        with one_line_errors(name):
            array = check_array(array, ensure_2d=False, input_name=name, dtype=None)
    if len(array) != n:
        raise LongwayError(f"{name} has {len(array)} labels for {n} rows of X: the lengths must be equal")
    with one_line_errors(name):
        check_classification_targets(array)
    return array.astype(str) if array.dtype.kind == "O" else array


def _infinite(array: np.ndarray) -> np.ndarray:
    return np.isinf(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)


def encode_labels(values: np.ndarray, classes: np.ndarray, name: str) -> np.ndarray:
    """Return the index of each label (n,) among the sorted classes (C,)."""
    unknown = np.setdiff1d(values, classes)
    if len(unknown):
        shown = ", ".join(map(repr, unknown[:3].tolist()))
        known = ", ".join(map(repr, classes.tolist()))
        raise LongwayError(f"{name} holds labels that the training data did not: {shown}; known are {known}")
    return np.searchsorted(classes, values)


def check_groups(values: Any, n: int, name: str) -> np.ndarray | None:
    """Return group codes (n,), or None if no groups are given."""
    if values is None:
        return None
    array, missing = as_objects(values)
    if array.ndim != 1 or len(array) != n:
        raise LongwayError(f"{name} has shape {array.shape}; it must be one group for each of the {n} rows")
    if missing.any():
        raise LongwayError(f"{name} holds missing values: give every row a group")
    return np.unique(array.astype(str) if array.dtype.kind == "O" else array, return_inverse=True)[1]


def check_weights(values: Any, codes: np.ndarray) -> np.ndarray:
    """Return sample weights (n,), ones by default."""
    if values is None:
        return np.ones(len(codes))
    with one_line_errors("sample_weight"):
        array = check_array(as_numpy(values), ensure_2d=False, dtype=np.float64, ensure_all_finite=False)
    if array.shape != codes.shape:
        raise LongwayError(f"sample_weight has shape {array.shape}; it must be ({len(codes)},), one for each row of X")
    bad = np.flatnonzero(~np.isfinite(array) | (array < 0))
    if len(bad):
        raise LongwayError(f"sample_weight is {array[bad[0]]:g} at row {bad[0]}: weights must be finite, 0 or more")
    if len(np.unique(codes[array > 0])) < 2:
        raise LongwayError(
            "sample_weight is zero for all samples but those of one class; two classes or more must count"
        )
    return array
