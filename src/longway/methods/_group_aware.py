"""The base of methods that work with groups of training rows: where none are given, they infer them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from longway.data.samples import Samples
from longway.groups import InferredGroups, confident_samples, find_groups, judge_groups
from longway.methods._base import FitData, Method

SMALLEST = 10
"""Inferred groups with fewer training rows are stray rows rather than a group: a method that balances groups would
train on little else."""
HELD_OUT = 2
"""Rows that an inferred group must have in held-out data: these are halved, and one row is in one half only. Not more,
as a shortcut that is nearly perfect leaves few rows there, and they are what DFR learns from."""


class GroupAware(Method):
    """A method that wants the group of each training row, and infers it where ``fit`` is given none.

    A subclass has the parameters ``group_inference`` (a strategy of ``longway.groups``) and
    ``group_inference_params``, and finds groups in ``task.rows.groups`` whether they were given or not. On features, rows of inferred groups that are likely misread
    left out (``longway.groups.purity``). Put this class before others that the subclass extends. One
    that wants groups of rows other than the training rows calls ``_infer`` for them.

    Attributes
    ----------
    group_inference_ : dict
        What was inferred, how far to trust it, and the seed with which ``infer_groups`` finds the same; empty where
        groups were given.
    """

    supervision = "train_groups"

    group_inference: str
    group_inference_params: dict[str, Any] | None

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
        """Infer groups of rows with the task's generator, and record in ``group_inference_`` what was found."""
        seed = int(task.generator.integers(2**31))
        found = find_groups(
            rows,
            task.n_classes,
            self.group_inference,
            seed=seed,
            device=self.device,
            **(self.group_inference_params or {}),
        )
        self.group_inference_ = {"seed": seed, **found.summary()}
        return found


def frequent(rows: Samples, least: int) -> np.ndarray:
    """Return the groups that have so many rows."""
    assert rows.groups is not None
    names, sizes = np.unique(rows.groups, return_counts=True)
    return names[sizes >= least]


def joined(rows: Samples, kept: np.ndarray) -> Samples:
    """Return rows whose groups, each of one class, are of those kept: others join the largest of their class.

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


def environments(groups: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the environment of each row, of shape (n,), numbered from 0: sets of rows that hold several classes.

    Methods that compare the risk of environments need sets in which the shortcut goes with the label to a different
    degree. Groups (n,) in which more than one class occurs, such as hospitals, are taken as they are. Where a group
    has one class only, groups are taken for class x attribute: environment 0 has the largest group of each class,
    environment 1 the second largest, and so on. With a shortcut of two values these are the rows that agree with it and
    those that contradict it.

    Examples
    --------
    >>> hospitals, y = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 1])
    >>> environments(hospitals, y).tolist()
    [0, 0, 1, 1, 1]
    >>> attribute, y = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 1])
    >>> environments(2 * y + attribute, y).tolist()
    [0, 0, 1, 0, 0, 1]
    """
    codes = np.unique(groups, return_inverse=True)[1]
    cells, of, sizes = np.unique(np.stack([codes, y]), axis=1, return_inverse=True, return_counts=True)
    if (np.bincount(cells[0]) > 1).all():
        return codes
    place = np.empty(len(sizes), np.int64)
    for code in np.unique(y):
        members = np.flatnonzero(cells[1] == code)
        place[members[np.argsort(-sizes[members], kind="stable")]] = np.arange(len(members))
    return place[of]
