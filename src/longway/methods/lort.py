"""Logit retargeting: a head retrained against soft targets that put the true class slightly above the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, ClassVar

import numpy as np

from longway.data.samples import Samples
from longway.linear.head import Heads
from longway.linear.module import FeatureHead
from longway.methods._last_layer import LastLayer, Parts, Setting
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical
from longway.methods.llr import solve_balanced
from longway.utils.rules import BELOW_ONE, POSITIVE, Choice, ListOf


@register
class LORT(LastLayer):
    r"""Retrain the head against over-smoothed labels (logit retargeting, "label over-smooth").

    With :math:`\delta` close to 1, the target is

    .. math:: t_y = 1 - \delta + \frac{\delta}{C}, \qquad t_c = \frac{\delta}{C} \ (c \ne y)

    so the true class stands at :math:`1 - \delta` above all others, and 1 / C is hardly exceeded. Logits stay small
    and alike over classes, with no count of classes needed. Probabilities are as close to 1 / C as the targets are.

    The source was read as an abstract only: that the paper's :math:`\delta` is about 0.98 is from memory, and that it
    retrains without a ridge and on which data is not known. Compare with care.

    Parameters
    ----------
    on : {"val", "train"}, default "val"
        Retrain on half of the validation data and choose on the other half, then retrain on all of them; or retrain
        on the training data and choose on the validation data.
    smoothings : sequence of float, default (0.9, 0.98)
        Values of delta, each between 0 and 1.
    l2s : sequence of float, default (1e-3, 1e-2, 1e-1, 1)
        Penalties on the weights, beside the mean loss, on standardised features. All pairs of delta and ridge are
        solved to their optima at once, and one is chosen.
    selection : {"auto", "worst_group", "worst_class", "balanced", "average"}, default "auto"
        Which score chooses; ``auto`` is ``worst_group`` where validation groups are given, else ``worst_class``.
    validation_fraction : float, default 0.2
    device : str, default "auto"
    random_state : int, RandomState or None, default 0
    verbose : int, default 0

    Attributes
    ----------
    retrained_on_ : str
        Where the data that the head was retrained on come from.

    References
    ----------
    "Rectify the classifier by logit retargeting", arXiv 2403.00250 (at ICLR 2025 as "Label Over-Smooth").
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {"on": "train", "smoothings": (0.98,)}}

    on: str = parameter("val", Choice(("val", "train")), search=Categorical(("val", "train")))
    smoothings: Sequence[float] = parameter(
        (0.9, 0.98), ListOf(BELOW_ONE), search=Categorical(((0.9, 0.98), (0.5,), (0.9,), (0.98,), (0.99,)))
    )
    l2s: Sequence[float] = parameter((1e-3, 1e-2, 1e-1, 1.0), ListOf(POSITIVE))

    def _settings(self) -> Sequence[Setting]:
        return [
            {"smoothing": float(smoothing), "l2": float(l2)} for smoothing, l2 in product(self.smoothings, self.l2s)
        ]

    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> Heads:
        return solve_balanced(
            first,
            rows,
            np.zeros(len(rows), np.int64),  # every row counts the same: the targets do the balancing
            [setting["l2"] for setting in settings],
            [setting["smoothing"] for setting in settings],
        )
