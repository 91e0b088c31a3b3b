"""Methods that compare the risk of environments: the environments, the objective, and what IRM and V-REx share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from longway.data.samples import Samples
from longway.data.weights import inverse_frequency
from longway.functional.invariance import risks
from longway.methods._base import FitData
from longway.methods._parameters import parameter, parameters
from longway.methods._search_space import Real
from longway.training.warmup import Warmup
from longway.utils.errors import LongwayError
from longway.utils.rules import BELOW_ONE, NON_NEGATIVE, WIDTHS


def environments(groups: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the environment of each sample, of shape (n,), numbered from 0; an environment holds several classes.

    Methods that compare risks need environments in which shortcut and label are correlated to a different degree.
    Groups (n,) that hold more than one class each, such as hospitals, are environments. If some group holds one class
    only, groups are taken for class x attribute: environment 0 is the largest group of each class, environment 1 the
    second largest, and so on. With a binary shortcut these are the samples that agree with it and those that do not.

    Examples
    --------
    >>> hospitals, y = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 1])
    >>> environments(hospitals, y).tolist()
    [0, 0, 1, 1, 1]
    >>> attribute, y = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 1])
    >>> environments(2 * y + attribute, y).tolist()
    [0, 0, 1, 0, 0, 1]
    """
    codes = np.unique(groups, return_inverse=True)[1]
    cells, of, sizes = np.unique(np.stack([codes, y]), axis=1, return_inverse=True, return_counts=True)
    if (np.bincount(cells[0]) > 1).all():
        return codes
    place = np.empty(len(sizes), np.int64)
    for code in np.unique(y):
        members = np.flatnonzero(cells[1] == code)
        place[members[np.argsort(-sizes[members], kind="stable")]] = np.arange(len(members))
    return place[of]


def by_environment(rows: Samples) -> np.ndarray:
    """Weight samples so that every environment has the same total weight."""
    assert rows.groups is not None  # given or inferred
    return inverse_frequency(environments(rows.groups, rows.y), rows.weight)


@parameters
class ComparesEnvironments:
    """The part of a method that penalises how the risk differs between environments.

    Parameters
    ----------
    penalty : float, default 10
        Final weight of the penalty.
    anneal : float, default 0.25
        Fraction of training during which the weight of the penalty is at most 1.
    hidden : sequence of int, default (128,)
        As in ``ERM``; the network is trained even without a hidden layer.
    l2 : float, default 0
        Penalty on the squared weights and biases of the network, in the loss.
    averaging : float, default 0
        As in ``ERM``.
    selection : default "worst_group"
        Validation groups are the given ones, or inferred like the training groups.

    Attributes
    ----------
    environment_sizes_ : ndarray of shape (E, C)
        Training samples of each class in each environment.
    """

    weighting = staticmethod(by_environment)
    always_trains: ClassVar[bool] = True
    difference: ClassVar[Callable[..., Tensor]]
    """Maps logits, labels, weights, environments and their number E to the penalty."""

    penalty: float = parameter(10.0, NON_NEGATIVE, search=Real(1e-1, 1e5, log=True))
    anneal: float = parameter(0.25, BELOW_ONE, search=Real(0.0, 0.5))
    hidden: Sequence[int] = parameter((128,), WIDTHS)
    l2: float = 0.0
    averaging: float = 0.0
    selection: str = "worst_group"

    if TYPE_CHECKING:
        epochs: int
        batch_size: int
        group_inference_: dict[str, Any]

    def _weights(self, rows: Samples, task: FitData) -> np.ndarray | None:
        # Drawing full batches with replacement would only add noise: the objective weights environments itself.
        return None if self.batch_size >= len(rows) else type(self).weighting(rows)

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        assert rows.groups is not None  # given or inferred
        codes = environments(rows.groups, rows.y)
        count = int(codes.max()) + 1
        if count == 1 and not self.group_inference_:
            raise LongwayError(
                "groups give one environment only, and there is nothing to compare: give groups that tell samples of "
                "one class apart, or none to have them inferred"
            )
        sizes = np.bincount(codes * task.n_classes + rows.y, minlength=count * task.n_classes)
        self.environment_sizes_ = sizes.reshape(count, task.n_classes)
        warmup = Warmup(self.anneal, self.epochs * len(rows))
        return InvarianceObjective(network, type(self).difference, self.penalty, count, warmup, self.l2), (codes,)


class InvarianceObjective(nn.Module):
    """The mean risk over environments plus a penalty on how the risks differ.

    Parameters
    ----------
    network : nn.Module
        Inputs to logits.
    difference : callable
        Maps logits, labels, weights, environments and their number E to the penalty.
    penalty : float
        Its weight.
    n_environments : int
        E.
    warmup : Warmup
        Until it has passed, the weight of the penalty is at most 1.
    l2 : float, default 0
        Weight of the sum of all squared parameters.
    """

    def __init__(
        self,
        network: nn.Module,
        difference: Callable[..., Tensor],
        penalty: float,
        n_environments: int,
        warmup: Warmup,
        l2: float = 0.0,
    ) -> None:
        super().__init__()
        self.network, self.warmup, self.l2 = network, warmup, l2
        self.difference, self.penalty, self.n_environments = difference, penalty, n_environments

    def forward(self, x: Tensor, y: Tensor, weight: Tensor, environment: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch with environments (n,), its risk and its penalty."""
        batch = self.network(x), y, weight, environment, self.n_environments
        values, present = risks(*batch)
        risk, difference = values.sum() / present.sum(), self.difference(*batch)
        strength = self.penalty if self.warmup(len(x)) else min(self.penalty, 1.0)
        loss = risk + strength * difference
        if self.l2:
            loss = loss + self.l2 * torch.stack([part.square().sum() for part in self.network.parameters()]).sum()
        return {"loss": loss / max(strength, 1.0), "risk": risk, "penalty": difference}
