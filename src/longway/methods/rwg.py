"""Reweighted groups: every group counts the same, with given groups or with inferred ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from longway.base import Task
from longway.groups import find_groups
from longway.methods.erm import ERM
from longway.rows import Rows


class RWG(ERM):
    """Train on batches in which every group is as frequent (RWG); a linear head weighs its loss instead.

    Parameters
    ----------
    infer : {"axes"}, default "axes"
        How groups are found where ``fit`` is given none: ``axes`` reads them off the shortcut axes of a beta-VAE that
        is trained without labels. See ``longway.groups``.
    infer_options : dict, optional
        Options of that way.
    selection : str, default "worst_group"
        Validation groups are the given ones, or inferred like the training groups.
    **erm
        All parameters of ``ERM``.

    Attributes
    ----------
    inferred_ : dict
        What was inferred, how far to trust it, and the seed with which ``infer_groups`` finds the same; empty where
        groups were given.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (RWG).
    """

    supervision = "train_groups"

    def __init__(
        self,
        *,
        infer: str = "axes",
        infer_options: dict[str, Any] | None = None,
        hidden: Sequence[int] = (),
        ridge: float = 1e-2,
        epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        selection: str = "worst_group",
        validation_fraction: float = 0.1,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            hidden=hidden,
            ridge=ridge,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            selection=selection,
            validation_fraction=validation_fraction,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.infer = infer
        self.infer_options = infer_options

    def _with_groups(self, task: Task) -> Task:
        self.inferred_: dict[str, Any] = {}
        rows, validation = task.rows, task.validation
        if rows.groups is None:
            seed = int(task.generator.integers(2**31))
            found = find_groups(
                rows, task.n_classes, self.infer, seed=seed, device=self.device, **(self.infer_options or {})
            )
            self.inferred_ = {"way": self.infer, "seed": seed, **found.summary()}
            rows = rows.grouped(found.groups)
            if validation is not None and validation.groups is None:
                validation = validation.grouped(found.assign(validation))
        return replace(task, rows=rows, validation=validation)

    def _balance(self, rows: Rows) -> np.ndarray:
        assert rows.groups is not None  # given or inferred, see _with_groups
        counts = np.bincount(rows.groups)
        return 1 / counts[rows.groups]
