"""Inferring groups by the name of a way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

import numpy as np

from longway.data.samples import Samples
from longway.data.validation import check_finite, check_labels, check_numbers, check_parameters
from longway.groups._base import InferredGroups
from longway.groups.axes import AxisGroups, shortcut_axes
from longway.groups.clusters import feature_clusters
from longway.groups.disagreement import head_disagreement
from longway.groups.errors import weak_errors
from longway.utils.device import seeded
from longway.utils.errors import LongwayError, nearest

AUTO = "auto"
"""The way in which data say themselves whether axes or errors are to be leaned on."""

STRATEGIES: dict[str, Callable[..., InferredGroups]] = {
    "axes": shortcut_axes,
    "errors": weak_errors,
    "clusters": feature_clusters,
    "disagreement": head_disagreement,
}
"""Ways to infer groups, by name; ``AUTO`` is one or the other of them."""


def find_groups(rows: Samples, n_classes: int, strategy: str, *, seed: int, **options: Any) -> InferredGroups:
    """Infer groups of training rows in one of ``STRATEGIES`` or, with ``AUTO``, in the way in which they had best be.

    What ``infer_groups`` does, for rows that are checked already. ``AUTO`` has the options of ``shortcut_axes``.

    Raises
    ------
    LongwayError
        If the way or one of its options is unknown, or the way finds no groups.
    """
    if strategy not in (*STRATEGIES, AUTO):
        raise LongwayError(f"group_inference={strategy!r} is unknown; {nearest(strategy, (*STRATEGIES, AUTO))}")
    known = STRATEGIES.get(strategy, shortcut_axes).__kwdefaults__ or {}
    for name in options:
        if name not in known:
            raise LongwayError(f"group_inference_params has no {name!r} for {strategy!r}; {nearest(name, known)}")
    with seeded(seed):
        if strategy == AUTO:
            return find_shortcut_evidence(rows, n_classes, seed=seed, **options).found
        return STRATEGIES[strategy](rows, n_classes, seed=seed, **options)


@overload
def infer_groups(
    X: np.ndarray, y: np.ndarray, strategy: Literal["axes"] = "axes", *, seed: int = 0, **options: Any
) -> AxisGroups: ...
@overload
def infer_groups(X: np.ndarray, y: np.ndarray, strategy: str, *, seed: int = 0, **options: Any) -> InferredGroups: ...
def infer_groups(
    X: np.ndarray, y: np.ndarray, strategy: str = "axes", *, seed: int = 0, **options: Any
) -> InferredGroups:
    """Infer groups of labelled data without group labels.

    Parameters
    ----------
    X : ndarray of shape (n, d) or (n, c, h, w)
        Features or images.
    y : ndarray of shape (n,)
        Labels.
    strategy : {"axes", "errors", "clusters", "disagreement", "auto"}, default "axes"
        See ``shortcut_axes``, ``weak_errors``, ``feature_clusters`` and ``head_disagreement``. With "auto" it is
        "errors" on images of which weak classifiers repeat the errors and no recolouring does (``find_shortcut_evidence``),
        else "axes"; ``strategy`` of what is returned says which.
    seed : int, default 0
    **options
        Of that way; with "auto" those of "axes".

    Returns
    -------
    InferredGroups
        Of a kind of its own for each way.

    Raises
    ------
    LongwayError
        If the input cannot be used, the way or one of its options is unknown, or the way finds no groups.
    """
    check_parameters(options)
    inputs = check_numbers(X, "X")
    check_finite(inputs, "X")
    classes, codes = np.unique(check_labels(y, len(inputs)), return_inverse=True)
    return find_groups(Samples(inputs, codes, np.ones(len(codes))), len(classes), strategy, seed=seed, **options)
