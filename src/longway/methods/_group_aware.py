"""The base of methods that train on groups: where none are given, they infer them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np

from longway.data.samples import Samples
from longway.data.weights import inverse_frequency
from longway.groups import (
    STRATEGIES,
    InferredGroups,
    check_strategy_options,
    confident_samples,
    find_groups,
    judge_groups,
)
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameter, parameters
from longway.utils.rules import MAPPING, Choice, OrNone

STRATEGY = Choice(("auto", *STRATEGIES))
"""The rule of ``group_inference``."""

# Chosen by hand: an inferred group with fewer training samples is a few strays rather than a group, and a method that
# balances groups would train on little else.
SMALLEST = 10
# An inferred group must have two samples in held-out data: these are halved, and a single sample is in one half only.
# No more are asked for, because a shortcut that is nearly perfect leaves few, and they are what DFR learns from.
HELD_OUT = 2


def by_group(rows: Samples) -> np.ndarray:
    """Weight samples so that every group, given or inferred, has the same total weight."""
    assert rows.groups is not None
    return inverse_frequency(rows.groups, rows.weight)


@parameters
class GroupAware(Method):
    """A method that needs the group of each training sample, and infers it if ``fit`` is given none.

    A subclass finds groups in ``task.rows.groups``, given or inferred. Inferred groups of features leave out samples
    that are likely misassigned (``longway.groups.purity``). List this class before the others that a subclass extends.

    Parameters
    ----------
    group_inference : {"auto", "axes", "errors", "clusters", "disagreement"}, default "auto"
        Strategy by which groups are inferred: ``axes`` reads them off the shortcut axes of a beta-VAE trained without
        labels; the others take them from the errors of a weak classifier, from clusters within classes, or from the
        disagreement of two classifiers. ``auto`` is ``errors`` on images where these are more reliable than axes,
        else ``axes``. See ``longway.groups``.
    group_inference_params : dict, optional
        Options of that strategy; with ``auto``, those of ``axes``.
    **method
        All parameters of ``Method``.

    Attributes
    ----------
    group_inference_ : dict
        What was inferred, its caveats, and the seed with which ``infer_groups`` finds the same groups; empty if groups
        were given.
    """

    supervision = "train_groups"

    group_inference: str = parameter("auto", STRATEGY)
    group_inference_params: dict[str, Any] | None = parameter(None, OrNone(MAPPING))

    def check(self) -> Self:
        """Raise LongwayError for the first parameter, or option of group inference, that cannot be used."""
        super().check()
        check_strategy_options(self.group_inference, self.group_inference_params)
        return self

    def _with_groups(self, task: FitData) -> FitData:
        self.group_inference_: dict[str, Any] = {}
        rows, validation = task.rows, task.validation
        if rows.groups is None:
            found = self._infer(rows, task)
            judged = judge_groups(found, rows, self.group_inference_)
            rows = rows.grouped(found.groups)
            kept = frequent(rows, SMALLEST)
            if validation is not None and validation.groups is None:
                validation = validation.grouped(found.assign(validation))
                validation = validation.take(np.flatnonzero(confident_samples(found, judged, validation)))
                validation = joined(validation, np.intersect1d(kept, frequent(validation, HELD_OUT)))
            rows = joined(rows, kept)
            if judged is not None:
                rows = rows.take(np.flatnonzero(judged.confident))
        return replace(task, rows=rows, validation=validation)

    def _infer(self, rows: Samples, task: FitData) -> InferredGroups:
        """Infer the groups of samples and record in ``group_inference_`` what was found."""
        seed, options = int(task.generator.integers(2**31)), self.group_inference_params or {}
        found = find_groups(rows, task.n_classes, self.group_inference, seed=seed, device=self.device, **options)
        self.group_inference_ = {"seed": seed, **found.summary()}
        return found


def frequent(rows: Samples, least: int) -> np.ndarray:
    """Return the groups with at least this many samples."""
    assert rows.groups is not None
    names, sizes = np.unique(rows.groups, return_counts=True)
    return names[sizes >= least]


def joined(rows: Samples, kept: np.ndarray) -> Samples:
    """Merge each group that is not kept into the largest kept group of its class; groups hold one class each.

    Examples
    --------
    >>> groups = np.repeat([0, 1, 2, 3], [50, 10, 9, 60])
    >>> rows = Samples(np.zeros((129, 1)), groups // 2, np.ones(129), groups)
    >>> np.bincount(joined(rows, frequent(rows, 10)).groups).tolist()
    [50, 10, 0, 69]
    """
    assert rows.groups is not None
    groups = rows.groups.copy()
    for code in np.unique(rows.y):
        own, sizes = np.unique(rows.groups[rows.y == code], return_counts=True)
        stays = np.isin(own, kept)
        groups[np.isin(groups, own[~stays])] = own[(sizes * stays if stays.any() else sizes).argmax()]
    return rows.grouped(groups)
