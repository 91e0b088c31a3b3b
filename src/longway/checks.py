"""Checks of what users give: each returns clean arrays or raises one clear line that names the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from longway.errors import LongwayError

CHUNK_BYTES = 64 * 2**20


def images(X: Any, name: str) -> np.ndarray:
    """Return images as a float array (n, c, h, w); uint8 becomes float32 in [0, 1]."""
    array = np.asarray(X)
    if len(array) == 0:
        raise LongwayError(f"{name} is empty: found array with 0 sample(s), at least 1 is required")
    if array.shape[1] not in (1, 2, 3, 4):
        raise LongwayError(
            f"{name} has shape {array.shape}: images must be (n, channels, height, width) with 1 to 4 channels"
        )
    if min(array.shape[2:]) < 4:
        raise LongwayError(f"{name} holds images of {array.shape[2]}x{array.shape[3]} pixels; at least 4x4 are needed")
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255
    if array.dtype.kind not in "fiub":
        raise LongwayError(f"{name} holds images of type {array.dtype}; give floats in [0, 1] or uint8")
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def finite(X: np.ndarray, name: str) -> None:
    """Refuse NaN and infinity, reading the array piece by piece."""
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


def labels(y: Any, n: int, name: str = "y") -> np.ndarray:
    """Return labels (n,) as a numpy array of strings or numbers."""
    if y is None:
        raise LongwayError(f"{name} is None: this estimator requires y to be passed, but the target y is None")
    array = column_or_1d(y, warn=True)
    if array.dtype.kind == "O":
        missing = [i for i, value in enumerate(array) if value is None or value != value]
        if missing:
            raise LongwayError(f"{name} has no label at row {missing[0]} ({len(missing)} in all): drop these rows")
        if not all(isinstance(value, str) for value in array):
            array = np.array(array.tolist())
    if array.dtype.kind == "f":
        array = check_array(array, ensure_2d=False, input_name=name, dtype=None)
    if len(array) != n:
        raise LongwayError(f"{name} has {len(array)} labels for {n} rows of X: the lengths must be equal")
    check_classification_targets(array)
    return array.astype(str) if array.dtype.kind == "O" else array


def groups(values: Any, n: int, name: str) -> np.ndarray | None:
    """Return group codes (n,), or None where no groups are given."""
    if values is None:
        return None
    array = np.asarray(values)
    if array.ndim != 1 or len(array) != n:
        raise LongwayError(f"{name} has shape {array.shape}; it must be one group for each of the {n} rows")
    if (array.dtype.kind == "f" and not np.isfinite(array).all()) or (
        array.dtype.kind == "O" and None in array.tolist()
    ):
        raise LongwayError(f"{name} holds missing values: give every row a group")
    return np.unique(array.astype(str) if array.dtype.kind == "O" else array, return_inverse=True)[1]


def weights(values: Any, codes: np.ndarray) -> np.ndarray:
    """Return sample weights (n,), ones where none are given."""
    if values is None:
        return np.ones(len(codes))
    array = check_array(values, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if array.shape != codes.shape:
        raise LongwayError(f"sample_weight has shape {array.shape}; it must be ({len(codes)},), one for each row of X")
    if (array < 0).any():
        raise LongwayError("sample_weight has negative entries; weights must be 0 or more")
    if len(np.unique(codes[array > 0])) < 2:
        raise LongwayError(
            "sample_weight is zero for all samples but those of one class; two classes or more must count"
        )
    return array
