"""Invariant risk minimisation: one classifier on top of the features is to be the best in every environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from longway.data.samples import Samples, inverse_frequency
from longway.functional.invariance import irm_penalty, risks
from longway.methods._base import FitData
from longway.methods._group_aware import environments
from longway.methods._parameters import parameters
from longway.methods._search_space import Between, Space
from longway.methods.rwg import RWG
from longway.training.schedule import Warmup
from longway.utils.errors import LongwayError


@parameters
class IRM(RWG):
    r"""Penalise how much a rescaled classifier would do better in a single environment (IRMv1).

    The objective is the mean over environments of :math:`R_e + \lambda (\partial_w R_e(w f))^2` at w = 1, with the risk
    :math:`R_e` of environment e. Batches hold all environments equally often. For the first ``anneal`` of training the
    weight of the penalty is 1 at most; then the whole loss is divided by the weight where that is above 1.

    Environments are made of groups, see ``environments``. Groups in which more than one class occurs
    are environments as they are. Groups of one class each are taken for class x attribute: the largest group of each
    class is the first environment, the second largest the next, and so on. The attribute itself would not do: a
    classifier sees it, and the best one that uses it is as good as can be for each of its values.

    Parameters
    ----------
    penalty : float, default 10
        Weight of the penalty, the paper's lambda.
    anneal : float, default 0.25
        Share of training before the penalty gets its weight.
    hidden : sequence of int, default (128,)
        As in ``ERM``; a network is trained also where there is no hidden layer.
    averaging : float, default 0
        As in ``ERM``.
    **rwg
        All other parameters of ``RWG``, also ``group_inference`` and ``group_inference_params``; ``l2`` has no effect.

    Attributes
    ----------
    environment_sizes_ : ndarray of shape (E, C)
        How many training rows of each class each environment has.
    group_inference_ : dict
        As in ``RWG``.

    References
    ----------
    Arjovsky et al., "Invariant risk minimization", arXiv 1907.02893. Its derivative is squared here as it is on a
    batch, which adds the derivative's variance over batches to the penalty.
    """

    # The published run takes full batches and has its l2 penalty in the loss.
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cmnist": {
            "penalty": 91257.18613115903,
            "anneal": 190 / 501,
            "hidden": (390, 390),
            "learning_rate": 0.0004898536566546834,
            "weight_decay": 0.00110794568,
            "epochs": 501,
            "batch_size": 50_000,
        }
    }
    space: ClassVar[Space] = {
        "penalty": Between(1e-1, 1e5, log=True),
        "anneal": Between(0.0, 0.5),
        "learning_rate": RWG.space["learning_rate"],
        "weight_decay": RWG.space["weight_decay"],
    }

    penalty: float = 10.0
    anneal: float = 0.25
    hidden: Sequence[int] = (128,)
    averaging: float = 0.0

    @property
    def _difference(self) -> Callable[..., Tensor]:
        """What is penalised."""
        return irm_penalty

    def _is_solved(self, rows: Samples) -> bool:
        return False

    def _balance(self, rows: Samples, task: FitData) -> np.ndarray:
        assert rows.groups is not None  # given or inferred
        return inverse_frequency(environments(rows.groups, rows.y), rows.weight)

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        assert rows.groups is not None  # given or inferred
        codes = environments(rows.groups, rows.y)
        count = int(codes.max()) + 1
        if count == 1 and not self.group_inference_:
            raise LongwayError(
                "groups give one environment only, and there is nothing to compare: give groups that tell samples of "
                "one class apart, or none to have them inferred"
            )
        self.environment_sizes_ = np.bincount(codes * task.n_classes + rows.y, minlength=count * task.n_classes)
        self.environment_sizes_ = self.environment_sizes_.reshape(count, task.n_classes)
        elapsed = Warmup(self.anneal, self.epochs * len(rows))
        return InvarianceObjective(network, self._difference, self.penalty, count, elapsed), (codes,)


class InvarianceObjective(nn.Module):
    """The mean risk over environments, and a penalty on how they differ.

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
    elapsed : Warmup
        Says when the weight of the penalty, 1 at most before, is what it is to be.
    """

    def __init__(
        self,
        network: nn.Module,
        difference: Callable[..., Tensor],
        penalty: float,
        n_environments: int,
        elapsed: Warmup,
    ) -> None:
        super().__init__()
        self.network, self.elapsed = network, elapsed
        self.difference, self.penalty, self.n_environments = difference, penalty, n_environments

    def forward(self, x: Tensor, y: Tensor, weight: Tensor, environment: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch with environments (n,), its risk and its penalty."""
        batch = self.network(x), y, weight, environment, self.n_environments
        values, present = risks(*batch)
        risk, difference = values.sum() / present.sum(), self.difference(*batch)
        strength = self.penalty if self.elapsed(len(x)) else min(self.penalty, 1.0)
        return {"loss": (risk + strength * difference) / max(strength, 1.0), "risk": risk, "penalty": difference}
