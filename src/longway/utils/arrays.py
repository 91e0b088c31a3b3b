"""Users' arrays, whatever library they come from."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_numpy(values: Any) -> Any:
    """Return a torch tensor as a NumPy array, whatever its device, type and gradient; other values as they are.

    Parameters
    ----------
    values : Any

    Examples
    --------
    >>> import torch
    >>> as_numpy(torch.ones(2, dtype=torch.bfloat16, requires_grad=True))
    array([1., 1.], dtype=float32)
    """
    if type(values).__module__.partition(".")[0] != "torch" or not hasattr(values, "detach"):
        return values
    import torch

    tensor = values.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def as_objects(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as an array, and a mask of the missing ones: None, NaN, and the missing values of pandas.

    NumPy alone turns ``["a", None]`` and ``["a", nan]`` into text.

    Examples
    --------
    >>> as_objects(["a", None])[1]
    array([False,  True])
    """
    values = as_numpy(values)
    array = np.asarray(values)
    if array.dtype.kind == "U" and not hasattr(values, "__array__"):
        array = np.asarray(values, dtype=object)
    if array.dtype.kind == "O":
        import pandas as pd

        return array, pd.isna(array)
    return array, ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
