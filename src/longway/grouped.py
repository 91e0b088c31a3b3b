"""The base of methods that work with groups of training rows: where none are given, they infer them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from longway.base import Method, Task
from longway.groups import InferredGroups, find_groups
from longway.rows import Rows

SMALLEST = 10
"""Inferred groups with fewer training rows are stray rows rather than a group: a method that balances groups would
train on little else."""


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
            home = without_strays(found.groups, task.n_classes, found.n_values)
            rows = rows.grouped(home[found.groups])
            if validation is not None and validation.groups is None:
                validation = validation.grouped(home[found.assign(validation)])
        return replace(task, rows=rows, validation=validation)

    def _infer(self, rows: Rows, task: Task) -> InferredGroups:
        """Infer groups of rows with the task's generator, and record in ``inferred_`` what was found."""
        seed = int(task.generator.integers(2**31))
        found = find_groups(
            rows, task.n_classes, self.infer, seed=seed, device=self.device, **(self.infer_options or {})
        )
        self.inferred_ = {"way": self.infer, "seed": seed, **found.summary()}
        return found


def without_strays(groups: np.ndarray, n_classes: int, n_values: int) -> np.ndarray:
    """Return what each inferred group counts as, (n_classes * n_values,): the largest of its class if it is a stray.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        ``class * n_values + attribute`` of the training rows.
    n_classes, n_values : int

    Examples
    --------
    >>> without_strays(np.repeat([0, 1, 2, 3], [50, 10, 9, 60]), 2, 2).tolist()
    [0, 1, 3, 3]
    """
    sizes = np.bincount(groups, minlength=n_classes * n_values).reshape(n_classes, n_values)
    itself = np.arange(n_classes * n_values).reshape(n_classes, n_values)
    largest = itself[np.arange(n_classes), sizes.argmax(1)]
    return np.where(sizes < SMALLEST, largest[:, None], itself).ravel()
