"""Last-layer retraining: a new linear head on held-out data in which every class or every group counts the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from longway.data.samples import Samples
from longway.data.weights import balanced_weights, group_cells
from longway.linear._ridge_path import ridge_heads
from longway.linear.head import Heads
from longway.linear.module import FeatureHead
from longway.methods._last_layer import LastLayer, Parts, Setting, precision, weighted_chunks
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical
from longway.utils.errors import LongwayError
from longway.utils.rules import POSITIVE, Choice, ListOf


@register
class LLR(LastLayer):
    """Train a new head on held-out data, balanced by class or by group (last-layer retraining).

    The convex problem is solved to its optimum on half of the validation data for each ridge, all at once; the other
    half chooses the ridge, and the head is then fitted to all of the validation data with that.

    Parameters
    ----------
    balance : {"auto", "class", "group"}, default "auto"
        What counts the same. ``auto`` is each group (each class within it) where validation groups are given, else
        each class.
    l2s : sequence of float, default (1e-3, 1e-2, 1e-1, 1)
        Penalties on the weights, beside the mean loss, on standardised features.
    selection : {"auto", "worst_group", "worst_class", "balanced", "average"}, default "auto"
        Which score chooses the ridge; ``auto`` is ``worst_group`` where validation groups are given, else
        ``worst_class``. A rule without groups keeps groups from balancing too.
    validation_fraction : float, default 0.2
        Share of the training data to retrain and choose on where no ``eval_set`` is given.
    device : str, default "auto"
    random_state : int, RandomState or None, default 0
    verbose : int, default 0

    Attributes
    ----------
    retrained_on_ : str
        Where the data that the head was retrained on come from.

    References
    ----------
    LaBonte et al., "Towards last-layer retraining for group robustness with fewer annotations", NeurIPS 2023.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "class_balanced": {"balance": "class"},
        "group_balanced": {"balance": "group"},
    }

    balance: str = parameter("auto", Choice(("auto", "class", "group")), search=Categorical(("auto", "class")))
    l2s: Sequence[float] = parameter(
        (1e-3, 1e-2, 1e-1, 1.0),
        ListOf(POSITIVE),
        search=Categorical(((1e-3, 1e-2, 1e-1, 1.0), (1e-2,), (1e-1,), (1.0,))),
    )

    def _settings(self) -> Sequence[Setting]:
        return [{"l2": float(l2)} for l2 in self.l2s]

    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> Heads:
        if self.balance == "group" and rows.groups is None:
            raise LongwayError(
                "balance='group' needs groups of the validation data: give eval_set=(X, y, groups) and a selection by "
                "worst_group or auto, or balance='class'"
            )
        codes = rows.y if self.balance == "class" else group_cells(rows)
        return solve_balanced(first, rows, codes, [setting["l2"] for setting in settings])


def solve_balanced(
    first: FeatureHead,
    rows: Samples,
    codes: np.ndarray,
    l2s: Sequence[float],
    smoothings: Sequence[float] | None = None,
) -> Heads:
    """Solve one problem for each ridge, in which all ``codes`` (n,) count the same and biases are free."""
    dtype, device = precision(rows), first.linear.weight.device
    n_classes = first.linear.out_features
    weights = np.repeat(balanced_weights(codes, rows.weight)[:, None], len(l2s), 1)
    start = Heads(
        torch.zeros(len(l2s), n_classes, rows.shape[0], dtype=dtype, device=device),
        torch.zeros(len(l2s), n_classes, dtype=dtype, device=device),
    )
    return ridge_heads(
        weighted_chunks(first, rows, weights, dtype),
        start,
        l2=torch.tensor(l2s, dtype=dtype, device=device),
        smoothing=None if smoothings is None else torch.tensor(smoothings, dtype=dtype, device=device),
        tolerance=1e-6 if dtype == torch.float64 else 1e-5,
    )
