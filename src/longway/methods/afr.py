"""Automatic feature reweighting: a head trained mostly on samples whose label the first head finds unlikely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from longway.data.samples import Samples, predict_logits
from longway.data.weights import balanced_weights
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import initial_head
from longway.linear.head import HeadStack
from longway.methods._base import FitData
from longway.methods._last_layer import LastLayer, Parts, Setting, solve_from
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical, Real
from longway.utils.rules import BOOLEAN, COUNT, FRACTION, HEAD, NON_NEGATIVE, POSITIVE, Choice, ListOf, OrNone

CLIP = 1.0
"""The paper's upper bound on the norm of the gradient."""


@register
class AFR(LastLayer):
    r"""Retrain the head on held-out training data, weighted by how unlikely the first head finds their labels.

    Stage 1 fits a head to most of the training data. Stage 2 minimises, on the rest,

    .. math:: \sum_i w_i \mathrm{CE}(f_\theta(x_i), y_i) + \lambda \lVert \theta - \theta_0 \rVert^2, \qquad
              w_i \propto \frac{1}{n_{y_i}} \exp(-\gamma \hat p_i[y_i])

    with :math:`\theta_0` the head of stage 1 and :math:`\hat p` its probabilities. All pairs of
    :math:`\gamma` and :math:`\lambda` are solved at once, and validation data select one. Training needs no groups.

    Parameters
    ----------
    variant : {"scale_free", "paper"}, default "scale_free"
        ``scale_free`` standardises features and solves the convex problem to its optimum. ``paper`` uses raw features
        and takes ``steps`` gradient steps from the first head, their norm clipped to 1.
    gammas : sequence of float, default (0, 1, 2, 4, 8, 16)
    l2_to_init : sequence of float, default (1e-3, 1e-2, 1e-1, 1)
        The paper's lambda.
    steps : int, default 500
        Gradient steps of ``paper``.
    learning_rate : float, default 1e-2
        Step size of ``paper``.
    class_balanced : bool, default True
        Whether to divide weights by the size of the class.
    retrain_fraction : float, default 0.2
        Fraction of the training data that is reserved for stage 2.
    head : (array-like of shape (C, d), array-like of shape (C,)), optional
        Weight and bias of stage 1, such as the backbone's own last layer; rows in sorted order of the labels. It
        should not have been trained on the data of stage 2. Without it, a linear head is fitted.
    l2 : float, default 1e-2
        Penalty of that fitted head.
    **last_layer
        All other parameters of ``LastLayer``.

    Attributes
    ----------
    retrained_on_ : str
        Always ``"training data"``.

    References
    ----------
    Qiu et al., "Simple and fast group robustness by automatic feature reweighting", ICML 2023.
    """

    needs = "training samples that contradict the shortcut"
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "waterbirds": {
            "variant": "paper",
            "gammas": tuple(np.linspace(4, 20, 33).tolist()),
            "l2_to_init": (0.0, 0.1, 0.2, 0.3),
            "learning_rate": 1e-2,
            "steps": 500,
        },
        "celeba": {
            "variant": "paper",
            "gammas": tuple(np.linspace(1, 3, 10).tolist()),
            "l2_to_init": tuple(np.logspace(-3, -1, 3).tolist()),
            "learning_rate": 2e-2,
            "steps": 1000,
        },
    }

    variant: str = parameter("scale_free", Choice(("scale_free", "paper")))
    gammas: Sequence[float] = parameter((0.0, 1.0, 2.0, 4.0, 8.0, 16.0), ListOf(NON_NEGATIVE))
    l2_to_init: Sequence[float] = parameter((1e-3, 1e-2, 1e-1, 1.0), ListOf(NON_NEGATIVE))
    steps: int = parameter(500, COUNT)
    learning_rate: float = parameter(1e-2, POSITIVE)
    class_balanced: bool = parameter(True, BOOLEAN, search=Categorical((True, False)))
    retrain_fraction: float = parameter(0.2, FRACTION, search=Categorical((0.2, 0.3, 0.5)))
    head: tuple[ArrayLike, ArrayLike] | None = parameter(None, OrNone(HEAD))
    l2: float = parameter(1e-2, NON_NEGATIVE, search=Real(1e-4, 1.0, log=True))

    def _settings(self) -> Sequence[Setting]:
        return [{"gamma": float(gamma), "pull": float(pull)} for gamma, pull in product(self.gammas, self.l2_to_init)]

    def _parts(self, task: FitData) -> Parts:
        rows, validation, source = task.split(self.validation_fraction)
        first, second, _ = replace(task, rows=rows, validation=None).split(self.retrain_fraction)
        if len(np.unique(second.y)) < task.n_classes:
            second = rows  # a class of one sample has none to spare
        return Parts(first, second, validation, second, source, "training data", task.generator)

    def _first(self, rows: Samples, n_classes: int) -> FeatureHead:
        return initial_head(self.head, rows, n_classes, self.l2, standardize=self.variant == "scale_free")

    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> HeadStack:
        believed = predict_logits(first, rows).softmax(1).numpy()[np.arange(len(rows)), rows.y]
        codes = rows.y if self.class_balanced else np.zeros(len(rows), np.int64)
        balanced = balanced_weights(codes, rows.weight)
        # Low confidence in the label means that the first head relies on something else: a larger weight.
        weights = np.stack([balanced * np.exp(-setting["gamma"] * believed) for setting in settings], 1)
        weights /= weights.sum(0)
        if self.variant == "paper":
            settings = [{**setting, "rate": self.learning_rate} for setting in settings]
            return solve_from(first, rows, weights, settings, self.steps, CLIP)
        return solve_from(first, rows, weights, settings)
