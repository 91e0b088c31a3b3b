"""The base of methods that work with groups of training rows: where none are given, they infer them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from longway.base import Method, Task
from longway.groups import InferredGroups, find_groups
from longway.rows import Rows


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
            rows = rows.grouped(found.groups)
            if validation is not None and validation.groups is None:
                validation = validation.grouped(found.assign(validation))
        return replace(task, rows=rows, validation=validation)

    def _infer(self, rows: Rows, task: Task) -> InferredGroups:
        """Infer groups of rows with the task's generator, and record in ``inferred_`` what was found."""
        seed = int(task.generator.integers(2**31))
        found = find_groups(
            rows, task.n_classes, self.infer, seed=seed, device=self.device, **(self.infer_options or {})
        )
        self.inferred_ = {"way": self.infer, "seed": seed, **found.summary()}
        return found
