"""Semantic anchors: features are pulled to a point of their class that no sample has a part in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples
from longway.linear.feature_head import FeatureHead
from longway.methods._base import FitData
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Real
from longway.methods.erm import ERM
from longway.nn.convnet import ConvNet
from longway.utils.rules import BELOW_ONE, FRACTION, NON_NEGATIVE


@register
class SemanticAnchor(ERM):
    r"""Pull features towards class anchors that do not depend on samples (semantic anchor regularisation).

    One random vector per class is drawn once and mapped to feature space by a small network, the projector. The last
    layer must classify these anchors, which trains the projector. It ends in batch normalisation and ReLU, so that
    anchors are non-negative, like features. In steps in which all anchors are classified with confidence, their running
    means are updated, and features are pulled towards the one of their class; in other steps the last term is 0:

    .. math:: CE(f(x), y) + CE(W a, c) + \lambda \, \mathrm{mean}_k (h_k(x) - \bar a_{y,k})^2

    A mean of samples would be biased towards frequent ones; an anchor is not. The method is designed for rare classes:
    features that encode a shortcut are pulled like all others.

    Parameters
    ----------
    pull : float, default 0.1
        Weight of the distance to the anchor, lambda.
    confidence : float, default 0.8
        Probability of its own class that every anchor must have for the running means to move.
    momentum : float, default 0.999
        Weight of the old value in the running means.
    hidden : sequence of int, default (128,)
        As in ``ERM``; without a hidden layer the features are fixed and nothing is pulled.
    **erm
        All other parameters of ``ERM``; ``l2`` has no effect.

    Attributes
    ----------
    anchors_ : ndarray of shape (C, k)
        The running means at the end; zeros if the anchors were never classified with confidence.

    References
    ----------
    "Beyond prototypes: semantic anchor regularization for better representation learning", arXiv 2312.11872. It weights
    the anchors' cross-entropy by confidence; here all are weighted equally.
    """

    always_trains = True
    pull: float = parameter(0.1, NON_NEGATIVE, search=Real(1e-3, 10.0, log=True))
    confidence: float = parameter(0.8, FRACTION, search=Real(0.5, 0.95))
    momentum: float = parameter(0.999, BELOW_ONE)
    hidden: Sequence[int] = (128,)

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        assert isinstance(network, ConvNet | FeatureHead)
        return AnchorObjective(network, self.pull, self.confidence, self.momentum), ()

    def _keep(self, objective: nn.Module) -> None:
        assert isinstance(objective, AnchorObjective)
        self.anchors_ = objective.running.cpu().numpy()


class AnchorObjective(nn.Module):
    """The losses of a network and of its anchors.

    Parameters
    ----------
    network : ConvNet or FeatureHead
    pull, confidence, momentum : float
        See ``SemanticAnchor``.
    """

    seeds: Tensor
    running: Tensor
    started: Tensor

    def __init__(self, network: ConvNet | FeatureHead, pull: float, confidence: float, momentum: float) -> None:
        super().__init__()
        self.network, self.pull, self.confidence, self.momentum = network, pull, confidence, momentum
        n_classes, width = network.linear.weight.shape
        blocks = [layer for _ in range(3) for layer in (nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU())]
        self.projector = nn.Sequential(*blocks)
        self.register_buffer("seeds", torch.randn(n_classes, width))
        self.register_buffer("running", torch.zeros(n_classes, width))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Move the running anchors, then return the loss of a batch with labels (n,) and weights (n,)."""
        network = self.network
        features = network.features(x)
        dropout = network.dropout if isinstance(network, ConvNet) else nn.Identity()
        fit = (cross_entropy(network.linear(dropout(features)), y, reduction="none") * weight).mean()
        anchors = self.projector(self.seeds)
        logits = network.linear(anchors)
        anchor_loss = cross_entropy(logits, torch.arange(len(anchors), device=x.device))
        sure = self._move(anchors.detach(), logits.detach())
        distance = ((features - self.running[y]).square().mean(1) * weight).mean() * sure
        loss = fit + anchor_loss + self.pull * distance
        return {"loss": loss, "cross_entropy": fit, "anchors": anchor_loss, "distance": distance}

    def _move(self, anchors: Tensor, logits: Tensor) -> Tensor:
        """Update the running means with anchors (C, k) if all are classified with confidence; return whether so."""
        sure = (logits.softmax(1).diagonal() >= self.confidence).all()
        # The first confident anchors are taken over directly, later ones by an exponential moving average.
        moved = torch.where(self.started, self.momentum * self.running + (1 - self.momentum) * anchors, anchors)
        self.running.copy_(torch.where(sure, moved, self.running))
        self.started |= sure
        return sure
