"""Group DRO: minimise the loss of the worst group, given or inferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples
from longway.functional.group_mean import mean_by_group
from longway.linear.fit import fit_minimax
from longway.methods._base import FitData
from longway.methods._group_aware import GroupAware, by_group, frequent, joined
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Real
from longway.methods.erm import ERM
from longway.training.distributed import gathered
from longway.utils.rules import NON_NEGATIVE, POSITIVE


@register
class GroupDRO(GroupAware, ERM):
    """Minimise the loss of the worst group (group distributionally robust optimisation).

    The problem of a linear head is convex (the largest group loss plus the L2 penalty): it is solved until the duality
    gap ``gap_`` is small. A network is trained by the paper's online algorithm on batches in which groups are equally
    frequent: the weight of each group grows exponentially with its loss, and the weighted sum of losses is minimised.

    Inferred groups of fewer than ``min_group_size`` training samples (5, see ``group_inference_params``) are merged
    into the largest group of their class, so that a few outliers are not the worst group. Given groups stay.

    Parameters
    ----------
    eta : float, default 0.01
        Step size of a network's group weights, the paper's eta_q.
    adjustment : float, default 0
        The paper's C: ``C / sqrt(n_g)`` is added to each group's loss, because small groups are overfitted more.
    averaging : float, default 0.1
        As in ``ERM``; of networks.
    selection : default "worst_group"
        Validation groups are the given ones, or inferred like the training groups.
    **group_aware
        ``group_inference`` and ``group_inference_params``, as in ``GroupAware``.
    **erm
        All parameters of ``ERM``.

    Attributes
    ----------
    group_weights_ : ndarray of shape (G,)
        The adversary's final weight of each group, in the order of the group codes that occur.
    gap_ : float
        Of a linear head: an upper bound on how far its objective is above the minimum.
    group_inference_ : dict
        As in ``GroupAware``.

    References
    ----------
    Sagawa et al., "Distributionally robust neural networks for group shifts", ICLR 2020, Algorithm 1.
    """

    needs = "samples that contradict the shortcut"
    weighting = staticmethod(by_group)
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "waterbirds": {
            "eta": 0.01,
            "optimizer": "sgd",
            "momentum": 0.9,
            "learning_rate": 1e-3,
            "weight_decay": 1e-4,
            "averaging": 0.0,
            "batch_size": 128,
            "epochs": 300,
        },
        "waterbirds-strong-penalty": {
            "eta": 0.01,
            "optimizer": "sgd",
            "momentum": 0.9,
            "learning_rate": 1e-5,
            "weight_decay": 1.0,
            "averaging": 0.0,
            "batch_size": 128,
            "epochs": 300,
        },
    }

    eta: float = parameter(0.01, POSITIVE, search=Real(1e-3, 1e-1, log=True))
    adjustment: float = parameter(0.0, NON_NEGATIVE, search=Real(0, 5))

    averaging: float = 0.1
    selection: str = "worst_group"

    def _with_groups(self, task: FitData) -> FitData:
        task = super()._with_groups(task)
        rows = task.rows
        if self.group_inference_ and rows.groups is not None:
            least = int((self.group_inference_params or {}).get("min_group_size", 5))
            task = replace(task, rows=joined(rows, frequent(rows, least)))
        return task

    def _solve(self, rows: Samples, task: FitData) -> nn.Module:
        assert rows.groups is not None  # given or inferred
        codes = np.unique(rows.groups, return_inverse=True)[1]
        found = fit_minimax(rows.grouped(codes), task.n_classes, self.l2, offset=self._offset(codes))
        self.group_weights_, self.gap_ = found.group_weights.numpy(), found.gap
        return found.network

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        assert rows.groups is not None  # given or inferred
        codes = np.unique(rows.groups, return_inverse=True)[1]  # a group may have no row left to train on
        return GroupDROObjective(network, self.eta, self._offset(codes)), (codes,)

    def _keep(self, objective: nn.Module) -> None:
        assert isinstance(objective, GroupDROObjective)
        self.group_weights_ = objective.log_weights.softmax(0).cpu().numpy()

    def _offset(self, codes: np.ndarray) -> Tensor:
        """Return C / sqrt(n_g) of each group, of shape (G,)."""
        return self.adjustment / torch.from_numpy(np.bincount(codes)).double().sqrt()


class GroupDROObjective(nn.Module):
    """The weighted sum of group losses; the weights grow with the losses.

    Parameters
    ----------
    network : nn.Module
        Inputs to logits.
    eta : float
        Rate of the weights.
    offset : Tensor of shape (G,)
        Added to each group's loss before it moves the weights.
    """

    log_weights: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, eta: float, offset: Tensor) -> None:
        super().__init__()
        self.network, self.eta = network, eta
        self.register_buffer("offset", offset.float())
        self.register_buffer("log_weights", torch.full_like(self.offset, -float(np.log(len(offset)))))

    def forward(self, x: Tensor, y: Tensor, weight: Tensor, group: Tensor) -> dict[str, Tensor]:
        """Move the group weights, then return the loss of a batch with groups (n,) under them.

        The weight of a group that is not in the batch does not move, but for the normalisation.
        """
        losses, n_groups = cross_entropy(self.network(x), y, reduction="none"), len(self.offset)
        weights, groups = gathered(weight), gathered(group)
        of_batch, present = mean_by_group(gathered(losses.detach()), weights, groups, n_groups)
        # Exponentiated gradient ascent on the simplex, in logarithms; absent groups keep their weight.
        moved = self.log_weights + self.eta * (of_batch + self.offset) * present
        self.log_weights.copy_(moved.log_softmax(0))
        # Losses are averaged over processes, so a group's mean must first be scaled by the group's share of the samples
        # that this process holds.
        here, in_batch = (_by_group(*pair, n_groups) for pair in ((weight, group), (weights, groups)))
        share = len(weights) / len(weight) * here / in_batch.where(present, 1)
        group_losses = mean_by_group(losses, weight, group, n_groups)[0] * share
        return {"loss": (self.log_weights.exp() * group_losses).sum(), "worst_loss": of_batch.max()}


def _by_group(weights: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """Return the sum of weights (n,) in each group, of shape (G,)."""
    return torch.zeros(n_groups, dtype=weights.dtype, device=weights.device).index_add(0, groups, weights)
