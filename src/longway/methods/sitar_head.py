"""SITAR on pre-trained features: a linear head that is flat along the axes of a shortcut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from longway.base import Method, Task
from longway.errors import LongwayError
from longway.functional.convex import logistic_regression
from longway.functional.hypergradient import Head
from longway.functional.scores import shortcut_scores
from longway.nn.heads import FeatureHead
from longway.parameters import parameters
from longway.rows import Rows, inverse_frequency, predict_logits
from longway.selection import BestEpoch, resolve_rule
from longway.space import Between, Space

FLAT = 1e-10
"""Share of the largest variance below which a principal axis is rounding error."""


@parameters
class SITARHead(Method):
    """Make a linear head flat along whitened principal axes: those that are named, or those that tell the label most.

    SITAR's penalty in the limit of a large lambda, for a linear head. The head is fitted with all axes and the weights
    of the shortcut's are then removed. Fitted without those axes, as an anisotropic ridge does, the others would take
    over what the shortcut explained.

    Where no sample contradicts the shortcut, no statistic of the data tells it from the core: name its axes if you can.

    Parameters
    ----------
    axes : "auto" or sequence of int, default "auto"
        Axes of the shortcut, ``project(X)``'s columns. "auto" takes those that tell the label most, and none where the
        rest hardly tell it. An empty sequence leaves an ordinary head.
    n_axes : int, default 100
        Principal axes of the features within classes that are kept, in the order of their variance.
    share : float, default 0.2
        With "auto": share of the highest score from which an axis counts as the shortcut's.
    kept : float, default 0.25
        With "auto": share of the validation score above chance that the head must keep. Where the worst group judges,
        the better head is taken instead.
    ridge : float, default 1e-2
        Penalty on the weights of whitened axes, beside the mean loss.
    selection : {"auto", "balanced", "worst_class", "worst_group", "average"}, default "auto"
        Which validation score judges what "auto" chose: the worst group where validation groups are given, else
        class-balanced accuracy.
    validation_fraction : float, default 0.2
    device : str, default "auto"
        Not used: the head is fitted on the CPU.
    random_state : int, RandomState or None, default 0
    verbose : int, default 0

    Attributes
    ----------
    axes_ : tuple of int
        The axes that the head is flat along.
    shortcut_scores_ : ndarray of shape (k,)
        Score v of each axis.
    components_ : ndarray of shape (d, k)
        Standardised features to whitened axes.
    doubts_ : tuple of str
        What was assumed that the data cannot show; empty where the axes were named.

    References
    ----------
    "Shortcut Invariance: Targeted Jacobian Regularization in Disentangled Latent Space", arXiv 2511.19525, Theorem 1.
    """

    supervision = "val_groups"
    space: ClassVar[Space] = {"share": Between(0.1, 0.8), "ridge": Between(1e-4, 1.0, log=True)}

    axes: str | Sequence[int] = "auto"
    n_axes: int = 100
    share: float = 0.2
    kept: float = 0.25
    ridge: float = 1e-2
    selection: str = "auto"
    validation_fraction: float = 0.2
    device: str = "auto"
    random_state: int | np.random.RandomState | None = 0
    verbose: int = 0

    def project(self, X: ArrayLike) -> np.ndarray:
        """Return the whitened axes of rows, (n, k): the extremes of a column show what the axis means."""
        module = self._fitted_module()
        assert isinstance(module, FeatureHead)
        return _projected(module, self._rows(X), torch.from_numpy(self.components_)).numpy()

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> FeatureHead:
        return FeatureHead(input_shape[0], n_classes).double()

    def _fit(self, task: Task) -> FeatureHead:
        rows, validation, source = task.split(self.validation_fraction)
        network = self._build(rows.shape, task.n_classes)
        network.standardize.set(*rows.moments())
        components = _whitening(network, rows, self.n_axes)
        self.components_ = components.numpy()
        latents, labels = _projected(network, rows, components), torch.from_numpy(rows.y)
        self.shortcut_scores_ = shortcut_scores(latents, labels, task.n_classes).numpy()
        weight = rows.weight / rows.weight.sum()
        full = _solved(latents, labels, weight, task.n_classes, self.ridge)
        chosen = self._chosen(len(self.shortcut_scores_))
        balanced = weight * inverse_frequency(rows.y, weight)
        flat = _flattened(full, chosen, latents, labels, balanced / balanced.sum())
        unaided = self.selection == "auto" and validation.groups is None
        rule = resolve_rule("balanced" if unaided else self.selection, validation.groups)
        scores = [_score(network, head, components, validation, rule) for head in (full, flat)]
        self.axes_, self.doubts_ = self._settled(chosen, scores, rule, 1 / task.n_classes)
        self.selection_ = {"rule": rule, "data": source, "score": scores[bool(self.axes_)]}
        head = flat if self.axes_ else full
        network.set_linear(Head(head.weight @ components.T, head.bias))
        return network

    def _chosen(self, k: int) -> tuple[int, ...]:
        """Return the axes of the shortcut: the ones named, or those that score highest."""
        if isinstance(self.axes, str):
            if self.axes != "auto":
                raise LongwayError(f"axes={self.axes!r} must be 'auto' or numbers of axes, such as [0, 3]")
            scores = self.shortcut_scores_
            return tuple(int(j) for j in np.argsort(-scores) if scores[j] >= self.share * scores.max() > 0)
        if not all(isinstance(j, int | np.integer) and 0 <= j < k for j in self.axes):
            raise LongwayError(f"axes={list(self.axes)} must be whole numbers from 0 to {k - 1}, the last axis")
        return tuple(int(j) for j in self.axes)

    def _settled(
        self, chosen: tuple[int, ...], scores: list[float], rule: str, chance: float
    ) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return the axes to be flat along, and what is assumed by that."""
        if not isinstance(self.axes, str):
            return chosen, ()
        before, after = scores
        told = f"{rule} validation accuracy {after:.2f} without axes {list(chosen)}, {before:.2f} with them"
        if rule == "worst_group":
            return (chosen, ()) if after > before else ((), (f"an ordinary head is no worse ({told})",))
        if not chosen or after - chance < self.kept * (before - chance):
            return (), (f"the other axes hardly tell the label, so the head is an ordinary one ({told})",)
        doubt = "the axes that tell the label most are taken for the shortcut; if they are the core, this head is worse"
        return chosen, (f"{doubt} than an ordinary one: look at project(X) and name axes ({told})",)


def _whitening(network: FeatureHead, rows: Rows, n_axes: int) -> Tensor:
    """Return the map (d, k) from standardised features to principal axes of variance 1 within classes.

    Within, because the distance of the classes is common to the core and the shortcut, and would mix them in one axis.
    """
    means = _class_means(network, rows)
    moments = torch.zeros(rows.shape[0], rows.shape[0], dtype=torch.float64)
    weight = torch.from_numpy(rows.weight / rows.weight.sum())
    for part in rows.slices():
        x = network.standardize(rows.inputs(part, torch.float64)) - means[rows.y[part]]
        moments += (x * weight[part].unsqueeze(1)).T @ x
    values, vectors = torch.linalg.eigh(moments)
    values, vectors = values.flip(0)[:n_axes], vectors.flip(1)[:, :n_axes]
    real = values > FLAT * values[:1]
    real[0] = True  # of constant features one axis is left, with variance 0
    vectors = vectors * vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    return vectors[:, real] / values[real].where(values[real] > 0, 1.0).sqrt()


def _class_means(network: FeatureHead, rows: Rows) -> Tensor:
    """Return the mean of each class, (C, d)."""
    weight = torch.from_numpy(rows.weight * inverse_frequency(rows.y, rows.weight))
    means = torch.zeros(int(rows.y.max()) + 1, rows.shape[0], dtype=torch.float64)
    for part in rows.slices():
        x = network.standardize(rows.inputs(part, torch.float64))
        means.index_add_(0, torch.from_numpy(rows.y[part]), x * weight[part].unsqueeze(1))
    return means


def _projected(network: FeatureHead, rows: Rows, components: Tensor) -> Tensor:
    """Return whitened axes of rows, (n, k)."""
    return rows.gather(lambda part: network.standardize(rows.inputs(part, torch.float64)) @ components)


def _solved(latents: Tensor, labels: Tensor, weight: np.ndarray, n_classes: int, ridge: float) -> Head:
    """Return the optimal head of axes (n, k)."""

    def chunks() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return iter([(latents, labels, torch.from_numpy(weight))])

    return logistic_regression(chunks, latents.shape[1], n_classes, ridge=ridge, tolerance=1e-8)


def _flattened(full: Head, axes: tuple[int, ...], latents: Tensor, labels: Tensor, weight: np.ndarray) -> Head:
    """Remove axes from a head; scale and bias of what is left are fitted again, with all classes counting the same."""
    left = full.weight.clone()
    left[:, list(axes)] = 0
    logits = latents @ left.T
    again = _solved(logits, labels, weight, len(left), ridge=1e-6)
    return Head(again.weight @ left, again.bias)


def _score(network: FeatureHead, head: Head, components: Tensor, rows: Rows, rule: str) -> float:
    """Return the validation score of a head of axes."""
    network.set_linear(Head(head.weight @ components.T, head.bias))
    return float(BestEpoch(network, rows, rule, "").observe(0, predict_logits(network, rows))[f"val_{rule}"])
