"""Reweighted classes: every class counts the same, without a look at groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longway.base import Task
from longway.methods.erm import ERM
from longway.rows import Rows, inverse_frequency


class RWY(ERM):
    """Train on batches in which every class is as frequent (RWY); a linear head weighs its loss instead.

    Parameters
    ----------
    selection : str, default "worst_class"
    **erm
        All parameters of ``ERM``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (RWY).
    """

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (),
        ridge: float = 1e-2,
        epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        selection: str = "worst_class",
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

    def _balance(self, rows: Rows, task: Task) -> np.ndarray | None:
        return inverse_frequency(rows.y, rows.weight)
