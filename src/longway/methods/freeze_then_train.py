"""Freeze-then-Train: freeze features that were learnt without labels, and train the rest next to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from longway.data.samples import Samples, predict_logits
from longway.linear.feature_head import FeatureHead, Standardize
from longway.methods._base import FitData
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Real
from longway.methods.erm import ERM
from longway.methods.llr import LLR
from longway.nn.classifier import Features
from longway.nn.convnet import ConvNet
from longway.training.selection import LAST
from longway.utils.rules import FRACTION, POSITIVE, Choice, ListOf


@register
class FreezeThenTrain(ERM):
    """Freeze principal components, train a network next to them, then fit the last layer again.

    A fraction of the representation consists of the top principal components of the training data, which do not depend
    on the labels. They stay frozen while a network is trained for the rest, with one linear head on both. A frozen
    feature cannot be lost to a shortcut that predicts the training labels better. The last layer is then fitted again
    on validation data, as in ``LLR``.

    On features, the components are those of the standardised features, and the rest is the output of an MLP. On images,
    they are those of the hidden layer of an untrained ``ConvNet``, and the trained network starts as its copy. The
    published code uses a pre-trained network in both places.

    Parameters
    ----------
    frozen_share : float, default 0.5
        Fraction of the features that is frozen, the paper's p.
    balance, l2s
        Of the last layer; see ``LLR``.
    hidden : sequence of int, default (128,)
        Widths of the MLP on features.
    selection : default "auto"
        As in ``ERM``; it selects the epoch and the penalty of the last layer, which ``auto`` selects if it is "last".
    validation_fraction : float, default 0.2
    **erm
        All other parameters of ``ERM``; ``l2`` has no effect.

    Attributes
    ----------
    explained_variance_ : float
        Fraction of the variance that the frozen components explain.
    retrained_on_ : str
        Origin of the data that the last layer was fitted to again.

    References
    ----------
    Ye et al., "Freeze then train: towards provable representation learning under spurious correlations and feature
    noise", AISTATS 2023.
    """

    needs = "validation data that are balanced, or can be"
    always_trains = True
    supervision = "val_groups"
    # The published runs start from pre-trained networks.
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {
            "frozen_share": share,
            "optimizer": "sgd",
            "momentum": 0.9,
            "learning_rate": 1e-3,
            "weight_decay": 1e-3,
            "batch_size": 128,
            "epochs": 100,
            "selection": LAST,
        }
        for name, share in (("quarter", 0.25), ("three-quarters", 0.75))
    }

    frozen_share: float = parameter(0.5, FRACTION, search=Real(0.1, 0.9))
    balance: str = parameter("auto", Choice(("auto", "class", "group")))
    l2s: Sequence[float] = parameter((1e-3, 1e-2, 1e-1, 1.0), ListOf(POSITIVE))
    hidden: Sequence[int] = (128,)
    selection: str = "auto"
    validation_fraction: float = 0.2

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> FrozenBeside:
        return FrozenBeside(input_shape, n_classes, self.frozen_share, self.hidden)

    def _fresh(self, rows: Samples, task: FitData) -> nn.Module:
        network = self._build(rows.shape, task.n_classes)
        self.explained_variance_ = network.freeze(rows)
        return network

    def _fit(self, task: FitData) -> nn.Module:
        rows, validation, source = task.split(self.validation_fraction)
        network = self._train(rows, validation, source, task)
        assert isinstance(network, FrozenBeside)
        self._retrain(network, rows, validation, source, task)
        return network

    def _retrain(self, network: FrozenBeside, rows: Samples, validation: Samples, source: str, task: FitData) -> None:
        """Fit the last layer again and record how."""
        rule = "auto" if self.selection == LAST else self.selection
        llr = LLR(balance=self.balance, l2s=self.l2s, selection=rule, device=self.device)
        features = Features(cast(FeatureHead, network))
        embedded, judged = (
            replace(some, X=predict_logits(features, some).numpy(), index=None) for some in (rows, validation)
        )
        head = llr._fit(replace(task, rows=embedded, validation=judged))
        assert isinstance(head, FeatureHead)
        network.linear.load_state_dict(head.folded().state_dict())
        self.selection_["setting"] = llr.selection_["setting"]
        self.retrained_on_ = source if llr.retrained_on_ == "eval_set" else llr.retrained_on_


class FrozenBeside(nn.Module):
    """Frozen principal components next to a trained network, and a linear layer on both.

    Parameters
    ----------
    input_shape : tuple of int
        (c, h, w) or (d,).
    n_classes : int
        C.
    share : float
        Fraction of the features that is frozen; at least one of each kind.
    hidden : sequence of int
        Of the trained MLP on features.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, input_shape: tuple[int, ...], n_classes: int, share: float, hidden: Sequence[int]) -> None:
        super().__init__()
        self.is_convolutional = len(input_shape) == 3
        width = ConvNet(input_shape, n_classes).linear.in_features if self.is_convolutional else input_shape[0]
        frozen = max(1, int(share * width))
        trained = max(1, width - frozen)
        if self.is_convolutional:
            self.trained: ConvNet | FeatureHead = ConvNet(input_shape, trained)
            self.base: nn.Module = nn.Sequential(deepcopy(self.trained.body), nn.ReLU())
        else:
            self.trained = FeatureHead(input_shape[0], trained, hidden)
            self.base = Standardize(input_shape[0])
        self.base.requires_grad_(False)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("components", torch.zeros(width, frozen))
        self.linear = nn.Linear(frozen + trained, n_classes)

    def freeze(self, rows: Samples) -> float:
        """Set the principal components of training data; return the fraction of the variance that they explain."""
        if isinstance(self.base, Standardize) and isinstance(self.trained, FeatureHead):
            for scale in (self.base, self.trained.standardize):
                scale.set(*rows.moments())
        weight = torch.from_numpy(rows.weight / rows.weight.sum())
        mean = torch.zeros(len(self.mean), dtype=torch.float64)
        second = torch.zeros(len(mean), len(mean), dtype=torch.float64)
        self.base.eval()
        with torch.inference_mode():
            for part in rows.slices(2048):
                x = self.base(rows.inputs(part)).double()
                mean += weight[part] @ x
                second += (weight[part].unsqueeze(1) * x).T @ x
        # Principal components from the covariance E[x x^T] - m m^T, in double precision as the terms nearly cancel.
        values, vectors = torch.linalg.eigh(second - torch.outer(mean, mean))
        values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
        kept = values[: self.components.shape[1]]
        # One factor for all keeps their proportions and brings them to the scale of the trained features.
        scale = kept.mean().sqrt().clamp_min(1e-12)
        self.mean.copy_(mean)
        self.components.copy_(vectors[:, : len(kept)] / scale)
        return float(kept.sum() / values.sum().clamp_min(1e-300))

    def train(self, mode: bool = True) -> FrozenBeside:
        """Set the mode of all but the frozen part, which stays in eval mode."""
        super().train(mode)
        self.base.eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to features (n, k), the frozen ones first."""
        frozen = (self.base(x) - self.mean) @ self.components
        return torch.cat([frozen, self.trained(x)], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to logits (n, C)."""
        return self.linear(self.features(x))
