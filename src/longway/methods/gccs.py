"""GCCS: outputs of each class are to be Gaussian, at a vertex of a simplex."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from longway.data.samples import Samples
from longway.functional.gaussians import class_moments, kl_to_spherical
from longway.methods._base import FitData
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical, Real
from longway.methods.erm import ERM
from longway.utils.rules import POSITIVE, Choice


@register
class GCCS(ERM):
    r"""Fit the outputs of each class to its own Gaussian (Gaussian class-conditional simplex loss).

    The target of class c is :math:`N(s e_c, I)` in C dimensions, so all targets are equally far apart and the optimal
    decision surfaces are planes. The loss is the mean, over the classes of a batch, of the KL divergence from a
    Gaussian with the moments of the class to its target. It compares moments, not single samples with their labels.

    Logits are the outputs times s: their softmax is the probability of each class under the targets, and the largest
    one belongs to the nearest target.

    The paper's kurtosis term is left out because its form was not available.

    Parameters
    ----------
    separation : float, default 5
        Distance s of each target from the origin, in standard deviations.
    covariance : {"diagonal", "full"}, default "diagonal"
        Moments that are compared. ``full`` needs more samples of each class in a batch than there are classes.
    hidden : sequence of int, default (128,)
        As in ``ERM``; the network is trained even without a hidden layer.
    **erm
        All other parameters of ``ERM``; ``l2`` has no effect.

    References
    ----------
    Ali et al., "Gaussian class-conditional simplex loss for accurate, adversarially robust deep classifier training",
    EURASIP Journal on Information Security, 2023 (arXiv 2010.15487). Only the abstract was available.
    """

    needs = "several samples of each class in a batch"
    always_trains = True
    separation: float = parameter(5.0, POSITIVE, search=Real(2.0, 50.0, log=True))
    covariance: str = parameter("diagonal", Choice(("diagonal", "full")), search=Categorical(("diagonal", "full")))
    hidden: Sequence[int] = (128,)

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        return GCCSObjective(network, task.n_classes, self.separation, self.covariance == "full"), ()


class GCCSObjective(nn.Module):
    """The KL divergence of the classes of a batch from their targets.

    Parameters
    ----------
    network : nn.Module
        Inputs to logits.
    n_classes : int
        C.
    separation : float
        See ``GCCS``.
    full : bool
        Whether full covariances are compared.
    """

    targets: Tensor

    def __init__(self, network: nn.Module, n_classes: int, separation: float, full: bool) -> None:
        super().__init__()
        self.network, self.n_classes, self.separation, self.full = network, n_classes, separation, full
        self.register_buffer("targets", separation * torch.eye(n_classes))

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch with labels (n,) and sample weights (n,)."""
        # The network returns logits, which are s times the outputs that the targets are defined for.
        moments = class_moments(self.network(x) / self.separation, y, weight, self.n_classes, full=self.full)
        present = weight @ one_hot(y, self.n_classes).to(weight) > 0
        return {"loss": (kl_to_spherical(moments, self.targets) * present).sum() / present.sum().clamp_min(1)}
