"""Classifiers that judge each row without having seen it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longway.data.folds import deal_folds
from longway.data.samples import Samples, predict_logits
from longway.data.weights import inverse_frequency
from longway.linear.fit import fit_linear
from longway.linear.module import FeatureHead
from longway.nn.classifier import CrossEntropy, build_classifier
from longway.nn.convnet import ConvNet
from longway.training.loop import Schedule, train

Fit = Callable[[Samples, np.random.Generator], Sequence[ConvNet | FeatureHead]]
"""Trains one network or several on rows."""


@dataclass(frozen=True)
class CrossFit:
    """One network a fold, and what each said of the rows that it did not see.

    Parameters
    ----------
    probabilities : Tensor of shape (n, C)
        Of each training row, by the network that did not see it.
    networks : tuple of nn.Module
        One a fold, inputs to logits.
    """

    probabilities: Tensor
    networks: tuple[nn.Module, ...]

    def predict(self, rows: Samples) -> Tensor:
        """Return the networks' mean probabilities (m, C) of rows that none of them saw."""
        return torch.stack([predict_logits(network, rows).softmax(1) for network in self.networks]).mean(0)


def cross_fit(rows: Samples, fit: Fit, folds: int, seed: int) -> list[CrossFit]:
    """Train on all folds but one, judge the rows of that one, and so for each fold.

    Parameters
    ----------
    rows : Rows
        Training data of n rows.
    fit : callable
        ``fit(rows, generator)`` returns networks, inputs to logits.
    folds : int
        Parts that the rows are cut into; each has every class in its share, as far as that can be.
    seed : int

    Returns
    -------
    list of CrossFit
        One for each network that ``fit`` returns.
    """
    generator = np.random.default_rng(seed)
    # Samples without weight are a stratum of their own: no fold may have nothing else to learn from.
    fold_of = deal_folds(2 * rows.y + (rows.weight > 0), folds, generator)
    judged: list[tuple[np.ndarray, Sequence[ConvNet | FeatureHead]]] = []
    for fold in range(folds):
        held = np.flatnonzero(fold_of == fold)
        judged.append((held, fit(rows.take(np.flatnonzero(fold_of != fold)), generator)))
    found = []
    for networks in zip(*(networks for _, networks in judged), strict=True):
        parts = [
            predict_logits(network, rows.take(held)).softmax(1)
            for network, (held, _) in zip(networks, judged, strict=True)
        ]
        back = torch.from_numpy(np.argsort(np.concatenate([held for held, _ in judged])))
        found.append(CrossFit(torch.cat(parts)[back], networks))
    return found


def linear_heads(n_classes: int, l2s: Sequence[float], *, class_balanced: bool) -> Fit:
    """Return a ``Fit`` of linear heads on features, one for each ridge."""

    def fit(rows: Samples, generator: np.random.Generator) -> Sequence[ConvNet | FeatureHead]:
        if class_balanced:
            rows = rows.reweighted(rows.weight * inverse_frequency(rows.y, rows.weight))
        return [fit_linear(rows, n_classes, l2) for l2 in l2s]

    return fit


def stopped_nets(
    n_classes: int, epochs: Sequence[int], *, batch_size: int, learning_rate: float, balanced: str | None, device: str
) -> Fit:
    """Return a ``Fit`` of one network on images, as it is after each of these numbers of epochs (in rising order).

    ``balanced`` says what is drawn as often: "classes", the rows' "groups", or None.
    """

    def fit(rows: Samples, generator: np.random.Generator) -> Sequence[ConvNet | FeatureHead]:
        network = build_classifier(rows.shape, n_classes)
        snapshots = _Snapshots(network, epochs)
        codes = rows.groups if balanced == "groups" else rows.y
        assert codes is not None
        train(
            CrossEntropy(network),
            rows,
            Schedule(max(epochs), batch_size, learning_rate),
            generator=generator,
            device=device,
            sampling=inverse_frequency(codes, rows.weight) if balanced else None,
            callback=snapshots.take,
        )
        return [snapshots.kept[epoch] for epoch in epochs]

    return fit


class _Snapshots:
    """Copies of a network as it is after some epochs."""

    def __init__(self, network: ConvNet | FeatureHead, epochs: Sequence[int]) -> None:
        self.network, self.epochs = network, epochs
        self.kept: dict[int, ConvNet | FeatureHead] = {}

    def take(self, epoch: int) -> dict[str, float]:
        """Copy the network if this is one of the epochs."""
        if epoch in self.epochs:
            self.kept[epoch] = copy.deepcopy(self.network).cpu().eval()
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the copies' weights by epoch, for a checkpoint."""
        return {str(epoch): network.state_dict() for epoch, network in self.kept.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the copies from their weights."""
        for epoch, weights in state.items():
            network = copy.deepcopy(self.network).cpu().eval()
            network.load_state_dict(weights)
            self.kept[int(epoch)] = network
