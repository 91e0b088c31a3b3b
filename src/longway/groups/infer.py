"""Group inference by the name of a strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, overload

import numpy as np

from longway.data.samples import Samples
from longway.data.validation import check_finite, check_labels, check_numbers
from longway.groups._base import InferredGroups
from longway.groups.axes import AxisGroups, shortcut_axes
from longway.groups.clusters import feature_clusters
from longway.groups.disagreement import head_disagreement
from longway.groups.errors import weak_errors
from longway.groups.evidence import find_shortcut_evidence
from longway.utils.device import seeded
from longway.utils.errors import LongwayError, nearest
from longway.utils.rules import argument_rules, check_value

AUTO = "auto"
"""The strategy that lets the data decide between axes and errors."""

STRATEGIES: dict[str, Callable[..., InferredGroups]] = {
    "axes": shortcut_axes,
    "errors": weak_errors,
    "clusters": feature_clusters,
    "disagreement": head_disagreement,
}
"""Strategies of group inference by name."""


def check_strategy_options(strategy: str, options: Mapping[str, Any] | None, name: str = "group_inference") -> None:
    """Raise LongwayError if there is no such strategy, or for its first option that cannot be used."""
    if strategy not in (*STRATEGIES, AUTO):
        raise LongwayError(f"{name}={strategy!r} is unknown; {nearest(strategy, (AUTO, *STRATEGIES))}")
    rules = argument_rules(STRATEGIES.get(strategy, shortcut_axes))
    for option, value in (options or {}).items():
        if option not in rules:
            raise LongwayError(f"{name}_params has no {option!r} for {strategy!r}; {nearest(option, rules)}")
        rule = rules[option]
        if rule is not None:
            check_value(f"{name}_params: {option}", value, rule)


def find_groups(rows: Samples, n_classes: int, strategy: str, *, seed: int, **options: Any) -> InferredGroups:
    """Infer groups of samples that are checked already; ``AUTO`` takes the options of ``shortcut_axes``.

    Raises
    ------
    LongwayError
        If the strategy or one of its options is unknown, or the strategy finds no groups.
    """
    check_strategy_options(strategy, options)
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
        See ``shortcut_axes``, ``weak_errors``, ``feature_clusters`` and ``head_disagreement``. "auto" is "errors" on
        images that weak classifiers misclassify consistently and that no recolouring explains
        (``find_shortcut_evidence``), else "axes"; ``strategy`` of the result says which.
    seed : int, default 0
    **options
        Of that strategy; with "auto" those of "axes".

    Returns
    -------
    InferredGroups
        Of the strategy's own subclass.

    Raises
    ------
    LongwayError
        If the input cannot be used, the strategy or one of its options is unknown, or the strategy finds no groups.
    """
    inputs = check_numbers(X, "X")
    check_finite(inputs, "X")
    classes, codes = np.unique(check_labels(y, len(inputs)), return_inverse=True)
    return find_groups(Samples(inputs, codes, np.ones(len(codes))), len(classes), strategy, seed=seed, **options)
