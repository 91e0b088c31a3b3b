"""Logit retargeting: a head retrained against soft targets that put the true class slightly above the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, ClassVar

import numpy as np

from longway.data.samples import Samples
from longway.linear.feature_head import FeatureHead
from longway.linear.head import HeadStack
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

    so the true class is :math:`1 - \delta` above all others and little above 1 / C. Logits stay small and similar over
    classes without any class counts. Predicted probabilities are as close to 1 / C as the targets.

    Only the paper's abstract was available: :math:`\delta` of about 0.98 is from memory, and whether the paper retrains
    without a penalty, and on which data, is not known. Compare with care.

    Parameters
    ----------
    on : {"val", "train"}, default "val"
        Retrain on half of the validation data, select on the other half, then retrain on all of it; or retrain on the
        training data and select on the validation data.
    smoothings : sequence of float, default (0.9, 0.98)
        Candidate values of delta, each from 0, below 1.
    l2s : sequence of float, default (1e-3, 1e-2, 1e-1, 1)
        Candidate penalties, as in ``LLR``. All pairs of delta and penalty are solved at once, and one is selected.
    **last_layer
        All other parameters of ``LastLayer``.

    Attributes
    ----------
    retrained_on_ : str
        Origin of the data that the head was retrained on.

    References
    ----------
    "Rectify the classifier by logit retargeting", arXiv 2403.00250 (at ICLR 2025 as "Label Over-Smooth").
    """

    needs = "data in which the shortcut does not hold"
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

    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> HeadStack:
        return solve_balanced(
            first,
            rows,
            np.zeros(len(rows), np.int64),  # no balancing by weights: the targets balance
            [setting["l2"] for setting in settings],
            [setting["smoothing"] for setting in settings],
        )
