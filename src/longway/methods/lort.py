"""Logit retargeting: a head retrained against soft targets that put the true class slightly above the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import product
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import initial_head
from longway.linear.head import HeadStack, LinearHead
from longway.methods._last_layer import LastLayer, Parts, Setting, head_of
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical
from longway.methods.llr import solve_balanced
from longway.training.loop import Schedule, train
from longway.utils.rules import BELOW_ONE, COUNT, HEAD, NON_NEGATIVE, POSITIVE, Choice, ListOf, OrNone


@register
class LORT(LastLayer):
    r"""Retrain the head against over-smoothed labels (logit retargeting, "label over-smooth").

    With :math:`\delta` close to 1, the target is

    .. math:: t_y = 1 - \delta + \frac{\delta}{C}, \qquad t_c = \frac{\delta}{C} \ (c \ne y)

    so the true class is :math:`1 - \delta` above all others and little above 1 / C. Logits stay small and similar over
    classes without any class counts. Predicted probabilities are as close to 1 / C as the targets.

    Parameters
    ----------
    variant : {"convex", "paper"}, default "convex"
        ``convex`` solves the penalised problem on standardised features from zero. ``paper`` follows the official code:
        raw features, steps of SGD with momentum 0.9 on batches of 64 from the first head, no penalty, a rate that falls
        along half a cosine. The official code keeps the epoch that is best on test data; here the last one is kept.
    on : {"val", "train"}, default "val"
        Retrain on half of the validation data, select on the other half, then retrain on all of it; or retrain on the
        training data and select on the validation data.
    smoothings : sequence of float, default (0.9, 0.98)
        Candidate values of delta, each from 0, below 1.
    l2s : sequence of float, default (1e-3, 1e-2, 1e-1, 1)
        Candidate penalties, as in ``LLR``, of ``convex``. All pairs of delta and penalty are solved at once, and one is
        selected.
    epochs : int, default 20
        Of ``paper``.
    learning_rate : float, default 5e-4
        Of ``paper``, in the first epoch.
    head : (array-like of shape (C, d), array-like of shape (C,)), optional
        Weight and bias that ``paper`` starts from. Without it, a linear head is fitted to the training features.
    l2 : float, default 1e-2
        Penalty of that fitted head.
    **last_layer
        All other parameters of ``LastLayer``.

    Attributes
    ----------
    retrained_on_ : str
        Origin of the data that the head was retrained on.

    References
    ----------
    "Rectify the classifier by logit retargeting", arXiv 2403.00250 (at ICLR 2025 as "Label Over-Smooth"). Official
    code: github.com/bilibili/LOS.
    """

    needs = "data in which the shortcut does not hold"
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"variant": "paper", "on": "train", "smoothings": (0.98,)}
    }

    variant: str = parameter("convex", Choice(("convex", "paper")))
    on: str = parameter("val", Choice(("val", "train")), search=Categorical(("val", "train")))
    smoothings: Sequence[float] = parameter(
        (0.9, 0.98), ListOf(BELOW_ONE), search=Categorical(((0.9, 0.98), (0.5,), (0.9,), (0.98,), (0.99,)))
    )
    l2s: Sequence[float] = parameter((1e-3, 1e-2, 1e-1, 1.0), ListOf(POSITIVE))
    epochs: int = parameter(20, COUNT)
    learning_rate: float = parameter(5e-4, POSITIVE)
    head: tuple[ArrayLike, ArrayLike] | None = parameter(None, OrNone(HEAD))
    l2: float = parameter(1e-2, NON_NEGATIVE)

    def _settings(self) -> Sequence[Setting]:
        if self.variant == "paper":
            return [{"smoothing": float(smoothing)} for smoothing in self.smoothings]
        return [
            {"smoothing": float(smoothing), "l2": float(l2)} for smoothing, l2 in product(self.smoothings, self.l2s)
        ]

    def _first(self, rows: Samples, n_classes: int) -> FeatureHead:
        if self.variant == "convex":
            return super()._first(rows, n_classes)
        return initial_head(self.head, rows, n_classes, self.l2, standardize=False)

    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> HeadStack:
        if self.variant == "paper":
            heads = [self._stepped(first, rows, setting["smoothing"], parts) for setting in settings]
            return HeadStack(torch.stack([head.weight for head in heads]), torch.stack([head.bias for head in heads]))
        return solve_balanced(
            first,
            rows,
            np.zeros(len(rows), np.int64),  # no balancing by weights: the targets balance
            [setting["l2"] for setting in settings],
            [setting["smoothing"] for setting in settings],
        )

    def _stepped(self, first: FeatureHead, rows: Samples, smoothing: float, parts: Parts) -> LinearHead:
        """Return the first head after the steps of the official code."""
        network = deepcopy(first).float().cpu()
        train(
            OverSmoothed(network, smoothing),
            rows,
            Schedule(self.epochs, 64, self.learning_rate, optimizer="sgd", momentum=0.9, cosine=True),
            generator=parts.generator,
            device=self.device,
            verbose=self.verbose,
            description="LORT",
        )
        return LinearHead(*(part.to(first.linear.weight) for part in head_of(network)))


class OverSmoothed(nn.Module):
    """The mean cross-entropy against over-smoothed targets.

    Parameters
    ----------
    network : nn.Module
        Inputs to logits.
    smoothing : float
        Delta.
    """

    def __init__(self, network: nn.Module, smoothing: float) -> None:
        super().__init__()
        self.network, self.smoothing = network, smoothing

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch with labels (n,) and sample weights (n,)."""
        losses = cross_entropy(self.network(x), y, reduction="none", label_smoothing=self.smoothing)
        return {"loss": (losses * weight).mean()}
