"""Deep feature reweighting: sparse heads on group-balanced held-out data, averaged over many draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from longway.data.samples import Samples
from longway.data.weights import group_cells
from longway.linear._elastic_net import elastic_net, elastic_net_path
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import standardized_features
from longway.linear.head import HeadStack, LinearHead
from longway.methods._base import FitData
from longway.methods._group_aware import HELD_OUT, GroupAware, frequent, joined
from longway.methods._last_layer import LastLayer, Parts, Setting
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical
from longway.utils.rules import COUNT, POSITIVE, Choice, ListOf

# The solver stops once the optimality conditions hold to TOLERANCE times C, at most LOOSEST: the penalty has slope 1,
# and gradients of the loss grow with C. Twice the tolerance leaves the objective .0003 of 17.6 higher
# (docs/experiments/0006-dfr-solver.md).
TOLERANCE = 0.15
LOOSEST = 0.1
# Chosen by hand: a cell with fewer samples than this does not shrink the draws of the others; its samples get larger
# weights instead.
SMALLEST = 8


@register
class DFR(GroupAware, LastLayer):
    """Fit L1 logistic regressions to group-balanced draws of held-out data, and average them.

    A path over C is fitted to a group-balanced draw from half of the validation data, and the other half selects C.
    With that C, one head is fitted to each of ``n_refits`` draws from all validation data, all at once. Groups are
    those of the ``eval_set``, or inferred.

    Parameters
    ----------
    on : {"val", "train"}, default "val"
        Draw from the validation data (DFR-Val, which ignores the groups of the training data if there is an
        ``eval_set``), or from the training data (DFR-Tr); then the validation data only select C.
    Cs : sequence of float, default (1, .7, .3, .1, .07, .03, .01)
        Candidate values of C in liblinear's convention: C times the sum of losses, plus the sum of absolute weights, on
        features standardised by the training data. Unlike in liblinear, the bias is not penalised.
    n_refits : int, default 20
        Number of draws whose heads are averaged.
    group_inference : default "axes"
        As in ``GroupAware``.
    selection : default "auto"
        As in ``Method``. A rule that ignores groups also keeps given validation groups from balancing.
    **last_layer
        All other parameters of ``GroupAware`` and ``LastLayer``.

    Attributes
    ----------
    group_inference_ : dict
        As in ``GroupAware``.
    retrained_on_ : str
        Origin of the data that the head was retrained on.

    References
    ----------
    Kirichenko et al., "Last layer re-training is sufficient for robustness to spurious correlations", ICLR 2023.
    """

    needs = "samples of every group in the data it draws from"
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "val": {"on": "val", "Cs": (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01), "n_refits": 20},
        "train": {"on": "train", "Cs": (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01), "n_refits": 10},
    }

    on: str = parameter("val", Choice(("val", "train")), search=Categorical(("val", "train")))
    Cs: Sequence[float] = parameter((1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01), ListOf(POSITIVE))
    n_refits: int = parameter(20, COUNT, search=Categorical((1, 10, 20, 50)))
    group_inference: str = "axes"

    def _allowed(self, rows: Samples, validation: Samples | None) -> tuple[Samples, Samples | None]:
        rows, validation = super()._allowed(rows, validation)
        if self.on == "val" and validation is not None:
            rows = rows.grouped(None)
        return rows, validation

    def _with_groups(self, task: FitData) -> FitData:
        if self.on == "val" and task.validation is not None and task.validation.groups is not None:
            self.group_inference_: dict[str, Any] = {}
            return task
        return super()._with_groups(task)

    def _held_out(self, task: FitData) -> tuple[Samples, Samples, str]:
        rows, validation, source = super()._held_out(task)
        own = self.group_inference_ and task.validation is None  # those of an eval_set are merged already
        return rows, joined(validation, frequent(validation, HELD_OUT)) if own else validation, source

    def _settings(self) -> Sequence[Setting]:
        return [{"C": float(strength)} for strength in self.Cs]

    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> HeadStack:
        """Follow the path from the strongest penalty to the weakest; each solution starts the next."""
        features, labels, weights = self._drawn(first, rows, 1, parts)
        Cs = sorted({setting["C"] for setting in settings})
        found = elastic_net_path(
            features,
            labels,
            first.linear.out_features,
            Cs=Cs,
            tolerances=[_tolerance(strength) for strength in Cs],
            weights=weights[0],
        )
        where = torch.tensor([Cs.index(setting["C"]) for setting in settings])
        return HeadStack(*(part[where] for part in found))

    def _final(self, first: FeatureHead, parts: Parts, heads: HeadStack, best: int) -> LinearHead:
        # All refits share the features; only their 0/1 weights differ, so that one batched solve suffices.
        features, labels, weights = self._drawn(first, parts.pool, self.n_refits, parts)
        strength = float(self._settings()[best]["C"])
        return elastic_net(
            features,
            labels,
            first.linear.out_features,
            strength=torch.full((self.n_refits,), strength),
            weights=weights,
            start=HeadStack.repeat(heads.pick(best), self.n_refits),
            common=True,
            tolerance=_tolerance(strength),
        ).mean()

    def _drawn(
        self, first: FeatureHead, rows: Samples, n_draws: int, parts: Parts
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return standardised features and labels of the samples in any of the draws, and weights (n_draws, n)."""
        weights = group_balanced_draws(rows, n_draws, parts.generator)
        used = np.flatnonzero(weights.any(0))
        some, device = rows.take(used), first.linear.weight.device
        features = standardized_features(first, some, torch.float32)
        return features, torch.from_numpy(some.y).to(device), torch.from_numpy(weights[:, used]).to(features)


def _tolerance(strength: float) -> float:
    return min(LOOSEST, TOLERANCE * strength)


def group_balanced_draws(rows: Samples, n_draws: int, generator: np.random.Generator) -> np.ndarray:
    """Return weights (n_draws, n), 0 for samples that are not drawn: as many of each cell as the smallest has.

    A cell is a class within a group. All cells have the same total weight, also with sample weights and with fewer than
    ``SMALLEST`` samples.
    """
    counted = np.flatnonzero(rows.weight > 0)
    codes = group_cells(rows)[counted]
    members = [counted[codes == code] for code in np.unique(codes)]
    size = max(min(map(len, members)), SMALLEST)
    weights = np.zeros((n_draws, len(rows)))
    for draw in weights:
        for cell in members:
            taken = generator.permutation(cell)[:size]
            draw[taken] = size * rows.weight[taken] / rows.weight[taken].sum()
    return weights
