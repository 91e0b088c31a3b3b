"""Cross-fitting: classifiers that predict each sample without having been trained on it."""

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
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import fit_linear
from longway.nn.classifier import CrossEntropy, build_classifier
from longway.nn.convnet import ConvNet
from longway.training.loop import Schedule, train

Fit = Callable[[Samples, np.random.Generator], Sequence[ConvNet | FeatureHead]]
"""Trains one or several networks."""


@dataclass(frozen=True)
class CrossFit:
    """One network per fold, and its predictions on the samples that it was not trained on.

    Parameters
    ----------
    probabilities : Tensor of shape (n, C)
        Of each training sample, by the network that was not trained on it.
    networks : tuple of nn.Module
        One per fold, inputs to logits.
    """

    probabilities: Tensor
    networks: tuple[nn.Module, ...]

    def predict(self, rows: Samples) -> Tensor:
        """Return the networks' mean probabilities (m, C) for other samples."""
        return torch.stack([predict_logits(network, rows).softmax(1) for network in self.networks]).mean(0)


def cross_fit(rows: Samples, fit: Fit, folds: int, seed: int) -> list[CrossFit]:
    """Train on all folds but one and predict that one, for each fold.

    Parameters
    ----------
    rows : Samples
        Training data.
    fit : callable
        ``fit(rows, generator)`` returns networks, inputs to logits.
    folds : int
        Number of folds, stratified by class.
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
        # Undo the permutation by folds.
        back = torch.from_numpy(np.argsort(np.concatenate([held for held, _ in judged])))
        found.append(CrossFit(torch.cat(parts)[back], networks))
    return found


def linear_heads(n_classes: int, l2s: Sequence[float], *, class_balanced: bool) -> Fit:
    """Return a ``Fit`` of linear heads on features, one per L2 penalty."""

    def fit(rows: Samples, generator: np.random.Generator) -> Sequence[ConvNet | FeatureHead]:
        if class_balanced:
            rows = rows.reweighted(rows.weight * inverse_frequency(rows.y, rows.weight))
        return [fit_linear(rows, n_classes, l2) for l2 in l2s]

    return fit


def stopped_nets(
    n_classes: int, epochs: Sequence[int], *, batch_size: int, learning_rate: float, balanced: str | None, device: str
) -> Fit:
    """Return a ``Fit`` of one network on images, as it is after each of these numbers of epochs (ascending).

    ``balanced`` names what is drawn equally often: "classes", "groups", or None.
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
    """Copies of a network after some of its epochs."""

    def __init__(self, network: ConvNet | FeatureHead, epochs: Sequence[int]) -> None:
        self.network, self.epochs = network, epochs
        self.kept: dict[int, ConvNet | FeatureHead] = {}

    def take(self, epoch: int) -> dict[str, float]:
        """Copy the network after one of the epochs."""
        if epoch in self.epochs:
            self.kept[epoch] = copy.deepcopy(self.network).cpu().eval()
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of the copies by epoch, for a checkpoint."""
        return {str(epoch): network.state_dict() for epoch, network in self.kept.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the copies from their weights."""
        for epoch, weights in state.items():
            network = copy.deepcopy(self.network).cpu().eval()
            network.load_state_dict(weights)
            self.kept[int(epoch)] = network
