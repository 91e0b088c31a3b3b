"""Causal feature reweighting: a head to which each feature is necessary, on samples that a first head got wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from longway.data.samples import Samples
from longway.data.weights import inverse_frequency
from longway.groups.crossfit import cross_fit, linear_heads
from longway.linear._ablation import ablation_drops, necessity
from longway.linear._logistic import LogisticObjective
from longway.linear._minimize import minimize_smooth
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import fit_linear
from longway.linear.head import LinearHead
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical, Real
from longway.training.selection import BestEpoch
from longway.utils.rules import NON_NEGATIVE, Choice, ListOf, Whole

PIECE = 2**22
"""Numbers that ablating all features of one batch may take: 32 MiB in double precision."""
# L-BFGS stops once a step lowers the objective by less than this fraction, which is scipy's default ``ftol``: the
# objective is not convex, so a tighter optimum is no better.
DECREASE = float(1e7 * np.finfo(float).eps)
ROUNDS = 10
"""Updates of the fixed probability in the official variant, at most."""


@register
class CCR(Method):
    r"""Retrain the head of a frozen backbone on reweighted samples, and reward features that are necessary.

    The weight of a sample depends on the prediction of a first head that did not see it. The term
    :math:`-\lambda \, \mathrm{mean}_j \log \max(1, 1 + p(y | h) - p(y | h_{-j}))` is added to the cross-entropy,
    where :math:`h_{-j}` is the input with feature j at its mean: it rewards features without which the probability of
    the true class would drop.

    The paper's first stage trains the backbone with decorrelated features; here the features are given. The objective
    is not convex: L-BFGS takes at most 50 steps from the optimum without the term, and then from each value of lambda
    to the next. A step costs n d C.

    The official code differs from the printed formula. It has no gradient through :math:`p(y | h)`, so the term lowers
    :math:`p(y | h_{-j})` instead of raising the difference. It adds :math:`2 \lVert (W, b) \rVert^2`, with the bias, to
    the *sum* of the weighted losses of 32 rows. Its weights have a mean of 2 C, so that relative to a weighted mean of
    losses its ``l2`` is 4 / (64 C): 1/32 for two classes.

    Parameters
    ----------
    variant : {"formula", "official"}, default "formula"
        ``formula`` differentiates the printed term in full, and does not penalise the bias. ``official`` holds
        :math:`p(y | h)` fixed and penalises the bias: L-BFGS minimises with :math:`p(y | h)` of the current head, up to
        ten times, which ends where the official gradient is zero.
    necessity : sequence of float, default (0, 0.01, 0.1, 1)
        Weights of the term, the paper's lambda_c; ``selection`` chooses one.
    weighting : {"errors", "exponential"}, default "errors"
        ``errors`` gives the samples that the first head gets right and wrong the same total weight in every class;
        ``exponential`` weights by ``exp(-gamma p)``, with p the first head's probability of the true class.
    gamma : float, default 4
        Of the exponential weights.
    first_l2 : float, default 1
        Penalty of the first head; a stronger one makes it rely on the easiest features.
    folds : int, default 3
        Folds of the training data; a first head predicts each fold after training on the others.
    l2 : float, default 1e-2
        Penalty on the head's weights, on standardised features.
    validation_fraction : float, default 0.2
    device : str, default "auto"
        Unused: the head is fitted on the CPU.
    **method
        All other parameters of ``Method``.

    Attributes
    ----------
    necessity_ : ndarray of shape (d,)
        Mean drop of the true class's probability without each feature, over the training samples.
    group_inference_ : dict
        Number of samples that the first head got wrong, and ``caveats``.

    References
    ----------
    "Causal feature reweighting" (CCR), arXiv 2411.01045, NAACL 2025.
    """

    needs = "training samples that a first head gets wrong"
    supervision = "val_groups"
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # For two classes; see the notes above.
        "text": {"variant": "official", "necessity": (0.001, 0.01, 0.1, 1.0), "l2": 1 / 32, "weighting": "errors"}
    }

    variant: str = parameter("formula", Choice(("formula", "official")))
    necessity: Sequence[float] = parameter((0.0, 0.01, 0.1, 1.0), ListOf(NON_NEGATIVE))
    weighting: str = parameter(
        "errors", Choice(("errors", "exponential")), search=Categorical(("errors", "exponential"))
    )
    gamma: float = parameter(4.0, NON_NEGATIVE, search=Real(1, 20, log=True))
    first_l2: float = parameter(1.0, NON_NEGATIVE, search=Real(0.1, 100, log=True))
    folds: int = parameter(3, Whole(2))
    l2: float = parameter(1e-2, NON_NEGATIVE, search=Real(1e-4, 1.0, log=True))
    validation_fraction: float = 0.2

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> FeatureHead:
        return FeatureHead(input_shape[0], n_classes).double()

    def _fit(self, task: FitData) -> nn.Module:
        rows, validation, source = task.split(self.validation_fraction)
        rows = rows.reweighted(rows.weight * self._sample_weights(rows, task))
        network = fit_linear(rows, task.n_classes, self.l2)
        best = BestEpoch(network, validation, self.selection, source)
        problem = _Problem(rows, network, self.l2, official=self.variant == "official")
        for epoch, strength in enumerate(self.necessity, 1):
            loss = problem.descend(float(strength))
            record = best.observe(epoch)
            self.history_.append({"epoch": epoch, "necessity": float(strength), "loss": loss, **record})
        chosen = best.restore()
        self.selection_ = {**chosen, "necessity": float(self.necessity[chosen["epoch"] - 1])}
        self.necessity_ = problem.drops()
        return network

    def _sample_weights(self, rows: Samples, task: FitData) -> np.ndarray:
        """Return the weight of each sample, of shape (n,), from the prediction of a first head that did not see it."""
        fit = linear_heads(task.n_classes, [self.first_l2], class_balanced=False)
        probabilities = cross_fit(rows, fit, self.folds, int(task.generator.integers(2**31)))[0].probabilities.numpy()
        right = probabilities.argmax(1) == rows.y
        caveats = [] if not right.all() else ["the first head gets every sample right: raise first_l2"]
        self.group_inference_ = {"errors": int((~right).sum()), "rows": len(rows), "caveats": caveats}
        if self.weighting == "exponential":
            return np.exp(-self.gamma * probabilities[np.arange(len(rows)), rows.y])
        return inverse_frequency(2 * rows.y + right, rows.weight)


class _Problem:
    """The objective on the training samples, and the head that minimises it."""

    def __init__(self, rows: Samples, network: FeatureHead, l2: float, *, official: bool) -> None:
        self.rows, self.network, self.l2, self.official = rows, network, l2, official
        self.reference: LinearHead | None = None
        n_classes, d = network.linear.weight.shape
        self.size = max(1, PIECE // (n_classes * d))
        self.scaled = LogisticObjective(d, n_classes, l2)
        exact = len(rows) * d <= PIECE  # solve small problems in double precision, like ERM
        self.dtype, self.tolerance = (torch.float64, 1e-7) if exact else (torch.float32, 1e-5)
        self.weight = torch.from_numpy(rows.weight / rows.weight.sum()).to(self.dtype)
        self.labels = torch.from_numpy(rows.y)

    def descend(self, strength: float) -> float:
        """Move the head to a nearby minimum; return the loss there."""
        for _ in range(ROUNDS if self.official and strength else 1):
            self.reference = self._head() if self.official else None
            start = self.scaled.flat(self._head())
            found = minimize_smooth(
                self._objective, start, strength, tolerance=self.tolerance, max_iter=50, decrease=DECREASE
            )
            self.network.set_linear(self.scaled.head(found.x))
            if np.abs(found.x - start).max() <= self.tolerance:
                break
        return float(found.fun)

    def drops(self) -> np.ndarray:
        """Return the mean drop of the true class's probability without each feature, of shape (d,)."""
        head = self._head()
        total = torch.zeros(head.weight.shape[1], dtype=torch.float64)
        for x, y, _ in self._pieces():
            total += ablation_drops(x, y, LinearHead(head.weight.to(x), head.bias.to(x))).sum(0)
        return (total / len(self.rows)).numpy()

    def _head(self) -> LinearHead:
        return LinearHead(self.network.linear.weight.detach(), self.network.linear.bias.detach())

    def _objective(self, flat: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        head = self.scaled.head(flat)
        reward, rewarded = 0.0, torch.zeros(self.scaled.shape, dtype=torch.float64)

        def pieces() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
            """Accumulate the term on the side, so that each batch is read once."""
            nonlocal reward
            for x, y, w in self._pieces():
                if strength > 0:
                    fixed = self.reference and LinearHead(*(part.to(x) for part in self.reference))
                    value, by = necessity(x, y, w, LinearHead(head.weight.to(x), head.bias.to(x)), fixed)
                    reward += value.item()
                    rewarded.add_(torch.cat([by.weight, by.bias.unsqueeze(1)], 1))
                yield x, y, w

        # The generator above accumulates the reward while the cross-entropy consumes the same batches.
        loss, gradient = self.scaled.loss_and_gradient(flat, pieces())
        by = -strength * rewarded
        if self.official:
            loss += 0.5 * self.l2 * head.bias.square().sum().item()
            by[:, -1] += self.l2 * head.bias
        return loss - strength * reward, gradient + (by / self.scaled.scale).numpy().ravel()

    def _pieces(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield standardised features, labels and weights in batches small enough to ablate."""
        for part in self.rows.slices(self.size):
            x = self.network.standardize(self.rows.inputs(part, torch.float64)).to(self.dtype)
            yield x, self.labels[part], self.weight[part]
