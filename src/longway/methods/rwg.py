"""Reweighted groups: every group counts the same, with given groups or with inferred ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longway.base import Task
from longway.grouped import GroupAware
from longway.methods.erm import ERM
from longway.rows import Rows, inverse_frequency


class RWG(GroupAware, ERM):
    """Train on batches in which every group is as frequent (RWG); a linear head weighs its loss instead.

    Parameters
    ----------
    infer : {"axes", "errors", "clusters", "disagreement"}, default "axes"
        How groups are found where ``fit`` is given none: ``axes`` reads them off the shortcut axes of a beta-VAE that
        is trained without labels, the others off the errors of a weak classifier, clusters within classes, and the
        disagreement of two classifiers. See ``longway.groups``.
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

    def _balance(self, rows: Rows, task: Task) -> np.ndarray | None:
        assert rows.groups is not None  # given or inferred
        return inverse_frequency(rows.groups, rows.weight)
