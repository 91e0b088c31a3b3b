"""SELF: fine-tune the head on held-out points where it disagrees with an early-stopped head or with dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from longway.data.samples import Samples, predict_logits
from longway.data.weights import balanced_weights
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import initial_head, standardized_features
from longway.linear.head import HeadStack, LinearHead
from longway.methods._base import FitData
from longway.methods._last_layer import LastLayer, Parts, Setting, solve_from
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical, Real
from longway.utils.device import resolve_device
from longway.utils.optimizers import OPTIMIZERS
from longway.utils.rules import BELOW_ONE, COUNT, FRACTION, HEAD, NON_NEGATIVE, POSITIVE, Choice, ListOf, OrNone


@register
class Selective(LastLayer):
    r"""Fine-tune the head on the held-out points where it disagrees most with a more regularised head (SELF).

    The class cannot have the paper's name, SELF: scikit-learn's pipelines fail with a step called "self".

    A head that was stopped early, or that has part of its inputs dropped, relies on the simplest feature. Where its
    probabilities :math:`q` differ most from those of the first head, :math:`p`, by :math:`\mathrm{KL}(q \Vert p)`,
    shortcut and label probably disagree. The points with the largest KL, equally many of each class, fine-tune the
    first head with balanced classes. Training needs no groups.

    Parameters
    ----------
    variant : {"scale_free", "paper"}, default "scale_free"
        ``scale_free`` standardises features and minimises
        :math:`\mathrm{CE} + \lambda \lVert \theta - \theta_0 \rVert^2` around the first head. ``paper`` uses raw
        features and takes ``steps`` gradient steps from the first head.
    disagreement : {"early", "dropout"}, default "early"
        Disagreement with a head stopped early, or with the first head under dropout of its inputs.
    n_points : sequence of int, default (20, 100, 500)
        Candidate numbers of points (at most C times the size of the rarest class).
    l2_to_init : sequence of float, default (1e-3, 1e-2, 1e-1, 1)
        Candidate values of lambda, of ``scale_free``.
    learning_rates : sequence of float, default (1e-4, 1e-3, 1e-2)
        Candidate step sizes, of ``paper``.
    steps : int, default 250
        Gradient steps of ``paper``, each on all points.
    optimizer : {"sgd", "adamw"}, default "sgd"
        Of these steps. Rates of Adam hardly move a head in gradient descent.
    momentum : float, default 0
        Of SGD.
    weight_decay : float, default 0
        Coupled in SGD, decoupled in Adam.
    early_l2 : float, default 1
        Penalty of the fitted head that stands in for one stopped early: for a linear model, early stopping and a
        strong L2 penalty are nearly equivalent.
    early_head : (array-like of shape (C, d), array-like of shape (C,)), optional
        Weight and bias of a head that was stopped early, used instead.
    dropout : float, default 0.7
        Fraction of the inputs that are dropped.
    head : (array-like of shape (C, d), array-like of shape (C,)), optional
        Weight and bias to start from; rows in sorted order of the labels. Without it, a linear head is fitted to the
        training features.
    l2 : float, default 1e-2
        Penalty of that fitted head.
    selection : default "auto"
        As in ``Method``, computed on the half of the validation data that no points are taken from.
    **last_layer
        All other parameters of ``LastLayer``.

    Attributes
    ----------
    retrained_on_ : str
        Origin of the points.

    References
    ----------
    LaBonte et al., "Towards last-layer retraining for group robustness with fewer annotations", NeurIPS 2023.
    """

    needs = "validation samples that contradict the shortcut"
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "vision": {
            "variant": "paper",
            "steps": 250,
            "learning_rates": (1e-4, 1e-3, 1e-2),
            "optimizer": "sgd",
            "momentum": 0.9,
            "weight_decay": 1e-4,
        },
        "text": {
            "variant": "paper",
            "steps": 500,
            "learning_rates": (1e-6, 1e-5, 1e-4),
            "optimizer": "adamw",
            "weight_decay": 1e-4,
        },
    }

    variant: str = parameter("scale_free", Choice(("scale_free", "paper")))
    disagreement: str = parameter("early", Choice(("early", "dropout")), search=Categorical(("early", "dropout")))
    n_points: Sequence[int] = parameter((20, 100, 500), ListOf(COUNT))
    l2_to_init: Sequence[float] = parameter((1e-3, 1e-2, 1e-1, 1.0), ListOf(NON_NEGATIVE))
    learning_rates: Sequence[float] = parameter((1e-4, 1e-3, 1e-2), ListOf(POSITIVE))
    steps: int = parameter(250, COUNT)
    optimizer: str = parameter("sgd", Choice(OPTIMIZERS))
    momentum: float = parameter(0.0, BELOW_ONE)
    weight_decay: float = parameter(0.0, NON_NEGATIVE)
    early_l2: float = parameter(1.0, NON_NEGATIVE, search=Real(1e-1, 10.0, log=True))
    early_head: tuple[ArrayLike, ArrayLike] | None = parameter(None, OrNone(HEAD))
    dropout: float = parameter(0.7, FRACTION, search=Categorical((0.5, 0.7, 0.9)))
    head: tuple[ArrayLike, ArrayLike] | None = parameter(None, OrNone(HEAD))
    l2: float = parameter(1e-2, NON_NEGATIVE, search=Real(1e-4, 1e-1, log=True))

    def _settings(self) -> Sequence[Setting]:
        name, values = ("rate", self.learning_rates) if self.variant == "paper" else ("pull", self.l2_to_init)
        return [{"n_points": int(n), name: float(value)} for n, value in product(self.n_points, values)]

    def _parts(self, task: FitData) -> Parts:
        parts = super()._parts(task)
        if self.disagreement == "dropout":
            return parts
        standardize = self.variant == "scale_free"
        early = initial_head(
            self.early_head, parts.first, task.n_classes, self.early_l2, standardize=standardize, name="early_head"
        )
        return replace(parts, rival=early.to(resolve_device(self.device)))

    def _first(self, rows: Samples, n_classes: int) -> FeatureHead:
        return initial_head(self.head, rows, n_classes, self.l2, standardize=self.variant == "scale_free")

    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> HeadStack:
        disagreement = self._divergence(first, rows, parts).numpy()
        # Only points that some setting selects are read; each setting gives the others no weight.
        chosen = {int(s["n_points"]): self._largest(disagreement, rows, int(s["n_points"])) for s in settings}
        used = np.unique(np.concatenate(list(chosen.values())))
        weights = np.zeros((len(used), len(settings)))
        for i, setting in enumerate(settings):
            points = chosen[int(setting["n_points"])]
            weights[np.searchsorted(used, points), i] = balanced_weights(rows.y[points], rows.weight[points])
        if self.variant == "scale_free":
            return solve_from(first, rows.take(used), weights, settings)
        how = {name: getattr(self, name) for name in ("optimizer", "momentum", "weight_decay")}
        return solve_from(first, rows.take(used), weights, settings, self.steps, **how)

    def _divergence(self, first: FeatureHead, rows: Samples, parts: Parts) -> Tensor:
        """Return the KL divergence (n,) of the first head's probabilities from the other head's."""
        ours = predict_logits(first, rows).log_softmax(1)
        if parts.rival is not None:
            theirs = predict_logits(parts.rival, rows)
        else:
            thinned = []
            for part in rows.slices():
                features = standardized_features(
                    first, rows.take(np.arange(part.start, part.stop)), torch.float64
                ).cpu()
                kept = torch.from_numpy(parts.generator.random(features.shape) >= self.dropout)
                # Inverted dropout keeps the expectation of the features.
                thinned.append(features * kept / (1 - self.dropout))
            theirs = LinearHead(first.linear.weight.cpu(), first.linear.bias.cpu()).logits(torch.cat(thinned)).detach()
        logs = theirs.log_softmax(1)
        return (logs.exp() * (logs - ours)).sum(1)

    @staticmethod
    def _largest(disagreement: np.ndarray, rows: Samples, n_points: int) -> np.ndarray:
        """Return the sorted positions of the points that disagree most, equally many of each class."""
        classes = np.unique(rows.y[rows.weight > 0])
        ranked = np.argsort(-disagreement, kind="stable")
        ranked = ranked[rows.weight[ranked] > 0]
        each = max(1, n_points // len(classes))
        return np.sort(np.concatenate([ranked[rows.y[ranked] == code][:each] for code in classes]))
