"""Last-layer retraining: a new linear head on held-out data that is balanced by class or by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from longway.data.samples import Samples
from longway.data.weights import balanced_weights, group_cells
from longway.linear._batched_logistic import solve_heads
from longway.linear.feature_head import FeatureHead
from longway.linear.head import HeadStack
from longway.methods._last_layer import LastLayer, Parts, Setting, precision, tolerance, weighted_chunks
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical
from longway.utils.errors import LongwayError
from longway.utils.rules import POSITIVE, Choice, ListOf


@register
class LLR(LastLayer):
    """Train a new head on held-out data, balanced by class or by group (last-layer retraining).

    The convex problems of all penalties are solved at once, on half of the validation data. The other half selects the
    penalty, and the head is then fitted to all validation data.

    Parameters
    ----------
    balance : {"auto", "class", "group"}, default "auto"
        What is weighted equally; ``auto`` is each class within each group if validation groups are given, else each
        class.
    l2s : sequence of float, default (1e-3, 1e-2, 1e-1, 1)
        Candidate penalties on the squared weights, on standardised features, relative to the mean loss.
    selection : default "auto"
        As in ``Method``. A rule that ignores groups also keeps them from balancing.
    **last_layer
        All other parameters of ``LastLayer``.

    Attributes
    ----------
    retrained_on_ : str
        Origin of the data that the head was retrained on.

    References
    ----------
    LaBonte et al., "Towards last-layer retraining for group robustness with fewer annotations", NeurIPS 2023.
    """

    needs = "validation data that are balanced, or can be"
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

    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> HeadStack:
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
) -> HeadStack:
    """Solve one problem for each penalty; all ``codes`` (n,) are weighted equally and biases are not penalised."""
    dtype, device = precision(rows), first.linear.weight.device
    n_classes = first.linear.out_features
    weights = np.repeat(balanced_weights(codes, rows.weight)[:, None], len(l2s), 1)
    start = HeadStack(
        torch.zeros(len(l2s), n_classes, rows.shape[0], dtype=dtype, device=device),
        torch.zeros(len(l2s), n_classes, dtype=dtype, device=device),
    )
    return solve_heads(
        weighted_chunks(first, rows, weights, dtype),
        start,
        l2=torch.tensor(l2s, dtype=dtype, device=device),
        smoothing=None if smoothings is None else torch.tensor(smoothings, dtype=dtype, device=device),
        tolerance=tolerance(dtype),
    )
