"""The base of methods that work with groups of training rows: where none are given, they infer them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from longway.base import Method, Task
from longway.groups import InferredGroups, find_groups
from longway.rows import Rows

SMALLEST = 10
"""Inferred groups with fewer rows are stray rows rather than a group: a method that balances groups would train on
little else."""


class GroupAware(Method):
    """A method that wants the group of each training row, and infers it where ``fit`` is given none.

    A subclass has the parameters ``infer`` (a way of ``longway.groups``) and ``infer_options``, and finds groups in
    ``task.rows.groups`` whether they were given or not. Put this class before others that the subclass extends. One
    that wants groups of rows other than the training rows calls ``_infer`` for them.

    Attributes
    ----------
    inferred_ : dict
        What was inferred, how far to trust it, and the seed with which ``infer_groups`` finds the same; empty where
        groups were given.
    """

    supervision = "train_groups"

    infer: str
    infer_options: dict[str, Any] | None

    def _with_groups(self, task: Task) -> Task:
        self.inferred_: dict[str, Any] = {}
        rows, validation = task.rows, task.validation
        if rows.groups is None:
            found = self._infer(rows, task)
            rows = without_strays(rows.grouped(found.groups))
            if validation is not None and validation.groups is None:
                validation = without_strays(validation.grouped(found.assign(validation)))
        return replace(task, rows=rows, validation=validation)

    def _infer(self, rows: Rows, task: Task) -> InferredGroups:
        """Infer groups of rows with the task's generator, and record in ``inferred_`` what was found."""
        seed = int(task.generator.integers(2**31))
        found = find_groups(
            rows, task.n_classes, self.infer, seed=seed, device=self.device, **(self.infer_options or {})
        )
        self.inferred_ = {"way": self.infer, "seed": seed, **found.summary()}
        return found


def without_strays(rows: Rows) -> Rows:
    """Return rows whose inferred groups, each of one class, have ``SMALLEST`` rows: strays join the largest of theirs.

    Each part of the data is taken by itself: a group of many training rows may leave one row in the validation data.

    Examples
    --------
    >>> groups = np.repeat([0, 1, 2, 3], [50, 10, 9, 60])
    >>> rows = Rows(np.zeros((129, 1)), groups // 2, np.ones(129), groups)
    >>> np.bincount(without_strays(rows).groups).tolist()
    [50, 10, 0, 69]
    """
    assert rows.groups is not None
    joined = rows.groups.copy()
    for code in np.unique(rows.y):
        own, sizes = np.unique(rows.groups[rows.y == code], return_counts=True)
        joined[np.isin(joined, own[sizes < SMALLEST])] = own[sizes.argmax()]
    return rows.grouped(joined)


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
