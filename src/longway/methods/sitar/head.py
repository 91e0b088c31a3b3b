"""SITAR on pre-trained features: a linear head that is flat along the axes of a shortcut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from longway.data.samples import Samples
from longway.data.weights import inverse_frequency
from longway.functional.scores import shortcut_scores
from longway.linear._logistic import logistic_regression
from longway.linear.feature_head import FeatureHead
from longway.linear.head import LinearHead
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Real
from longway.metrics.group_metrics import evaluate_groups
from longway.training.selection import RULES, resolve_rule
from longway.utils.errors import LongwayError
from longway.utils.rules import COUNT, NON_NEGATIVE, PROPORTION, UP_TO_ONE, Other

# Fraction of the largest variance below which a principal axis is rounding error; double precision leaves about 1e-16.
FLAT = 1e-10

AXES = Other(
    lambda value: isinstance(value, str | Sequence | np.ndarray), "'auto' or a list of whole numbers, such as [0, 3]"
)


@register
class SITARHead(Method):
    """Make a linear head flat along whitened principal axes: the named ones, or the most predictive of the label.

    This is SITAR's penalty for a linear head in the limit of a large lambda. The head is fitted with all axes, and the
    weights of the shortcut's axes are then removed. If the head were fitted without them, as an anisotropic L2 penalty
    does, the other axes would take over what the shortcut explained.

    If no sample contradicts the shortcut, no statistic tells it from the core: name its axes if you can.

    Parameters
    ----------
    axes : "auto" or sequence of int, default "auto"
        Axes of the shortcut, as columns of ``project(X)``. "auto" takes the axes most predictive of the label, as many
        as leave the others predictive enough. An empty sequence leaves an ordinary head.
    n_axes : int, default 100
        Number of principal axes of the within-class features, by descending variance.
    min_relative_score : float, default 0.2
        With "auto": lowest score, relative to the highest, at which an axis may belong to the shortcut.
    retained_fraction : float, default 0.25
        With "auto": fraction of the validation score above chance that the head must keep. Axes are removed by
        descending score, as many as this allows. If selection is by the worst group, as many as serve it best.
    l2 : float, default 1e-2
        Penalty on the squared weights of the whitened axes, relative to the mean loss.
    selection : {"auto", "balanced", "worst_class", "worst_group", "average"}, default "auto"
        Validation score that decides how many axes "auto" removes; ``auto`` is ``worst_group`` if validation groups are
        given, else ``balanced``.
    validation_fraction : float, default 0.2
    device : str, default "auto"
        Unused: the head is fitted on the CPU.
    **method
        All other parameters of ``Method``.

    Attributes
    ----------
    axes_ : tuple of int
        The axes that the head is flat along.
    shortcut_scores_ : ndarray of shape (k,)
        Score v of each axis.
    components_ : ndarray of shape (d, k)
        Standardised features to whitened axes.
    caveats_ : tuple of str
        Assumptions that the data cannot confirm; empty if the axes were named.

    References
    ----------
    "Shortcut Invariance: Targeted Jacobian Regularization in Disentangled Latent Space", arXiv 2511.19525, Theorem 1.
    """

    needs = "a shortcut on few axes of the features"
    supervision = "val_groups"

    axes: str | Sequence[int] = parameter("auto", AXES)
    n_axes: int = parameter(100, COUNT)
    min_relative_score: float = parameter(0.2, UP_TO_ONE, search=Real(0.1, 0.8))
    retained_fraction: float = parameter(0.25, PROPORTION)
    l2: float = parameter(1e-2, NON_NEGATIVE, search=Real(1e-4, 1.0, log=True))
    validation_fraction: float = 0.2

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # it gives up the axes that predict the training labels best
        return tags

    def project(self, X: ArrayLike) -> np.ndarray:
        """Return coordinates of samples on the whitened axes, (n, k); the extremes of a column show what it means."""
        module = self._fitted_module()
        assert isinstance(module, FeatureHead)
        return _projected(module, self._samples(X), torch.from_numpy(self.components_)).numpy()

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> FeatureHead:
        return FeatureHead(input_shape[0], n_classes).double()

    def _fit(self, task: FitData) -> FeatureHead:
        rows, validation, source = task.split(self.validation_fraction)
        network = self._build(rows.shape, task.n_classes)
        network.standardize.set(*rows.moments())
        components = _whitening(network, rows, self.n_axes)
        self.components_ = components.numpy()
        latents, labels = _projected(network, rows, components), torch.from_numpy(rows.y)
        self.shortcut_scores_ = shortcut_scores(latents, labels, task.n_classes).numpy()
        weight = rows.weight / rows.weight.sum()
        # All axes first: removing an axis before the fit would let the others take over its part.
        full = _solved(latents, labels, weight, task.n_classes, self.l2)
        axes, counts = self._candidates(len(self.shortcut_scores_))
        balanced = weight * inverse_frequency(rows.y, weight)
        heads = [_flattened(full, axes[:n], latents, labels, balanced / balanced.sum()) if n else full for n in counts]
        unaided = self.selection == "auto" and validation.groups is None
        rule = resolve_rule("balanced" if unaided else self.selection, validation.groups)
        held_out = _projected(network, validation, components)
        scores = [_score(head, held_out, validation, rule) for head in heads]
        best = self._best(scores, rule, 1 / task.n_classes)
        self.axes_ = axes[: counts[best]]
        self.caveats_ = self._caveats(best, scores, rule)
        self.selection_ = {"rule": rule, "data": source, "score": scores[best]}
        network.set_linear(LinearHead(heads[best].weight @ components.T, heads[best].bias))
        return network

    def _candidates(self, k: int) -> tuple[tuple[int, ...], range]:
        """Return the axes that may belong to the shortcut, most likely first, and how many of them may be removed."""
        if isinstance(self.axes, str):
            if self.axes != "auto":
                raise LongwayError(f"axes={self.axes!r} must be 'auto' or numbers of axes, such as [0, 3]")
            scores = self.shortcut_scores_
            axes = tuple(int(j) for j in np.argsort(-scores) if scores[j] >= self.min_relative_score * scores.max() > 0)
            return axes, range(len(axes) + 1)
        if not all(isinstance(j, int | np.integer) and 0 <= j < k for j in self.axes):
            raise LongwayError(f"axes={list(self.axes)} must be whole numbers from 0 to {k - 1}, the last axis")
        return tuple(int(j) for j in self.axes), range(len(self.axes), len(self.axes) + 1)

    def _best(self, scores: list[float], rule: str, chance: float) -> int:
        """Return the index of the head to take: the best by worst group, else the last that keeps enough."""
        if rule == "worst_group":
            return int(np.argmax(scores))
        enough = chance + self.retained_fraction * (scores[0] - chance)
        return max(n for n, score in enumerate(scores) if n == 0 or score >= enough)

    def _caveats(self, best: int, scores: list[float], rule: str) -> tuple[str, ...]:
        """Return the assumptions behind the head that was taken."""
        if not isinstance(self.axes, str) or (rule == "worst_group" and best):
            return ()
        scored = f"{rule} validation accuracy {scores[0]:.2f} with all axes"
        if rule == "worst_group":
            return (f"an ordinary head is no worse than one without axes ({scored})",)
        if not best:
            return (f"the other axes hardly predict the label, so the head is an ordinary one ({scored})",)
        scored += f", {scores[best]:.2f} without {list(self.axes_)}"
        caveat = "the axes most predictive of the label are taken for the shortcut; if they are the core, this head is"
        return (f"{caveat} worse than an ordinary one: look at project(X) and name axes ({scored})",)


def _whitening(network: FeatureHead, rows: Samples, n_axes: int) -> Tensor:
    """Return the map (d, k) from standardised features to principal axes of variance 1 within classes.

    Within classes, because core and shortcut both separate the class means, and would otherwise share one axis.
    """
    means = _class_means(network, rows)
    moments = torch.zeros(rows.shape[0], rows.shape[0], dtype=torch.float64)
    weight = torch.from_numpy(rows.weight / rows.weight.sum())
    for part in rows.slices():
        x = network.standardize(rows.inputs(part, torch.float64)) - means[rows.y[part]]
        # The within-class covariance.
        moments += (x * weight[part].unsqueeze(1)).T @ x
    values, vectors = torch.linalg.eigh(moments)
    values, vectors = values.flip(0)[:n_axes], vectors.flip(1)[:, :n_axes]
    real = values > FLAT * values[:1]
    real[0] = True  # constant features leave one axis, of variance 0
    # The sign of an eigenvector is arbitrary; make its largest entry positive, so that axes are the same on any
    # machine.
    vectors = vectors * vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    return vectors[:, real] / values[real].where(values[real] > 0, 1.0).sqrt()


def _class_means(network: FeatureHead, rows: Samples) -> Tensor:
    """Return the mean of each class, (C, d)."""
    weight = torch.from_numpy(rows.weight * inverse_frequency(rows.y, rows.weight))
    means = torch.zeros(int(rows.y.max()) + 1, rows.shape[0], dtype=torch.float64)
    for part in rows.slices():
        x = network.standardize(rows.inputs(part, torch.float64))
        means.index_add_(0, torch.from_numpy(rows.y[part]), x * weight[part].unsqueeze(1))
    return means


def _projected(network: FeatureHead, rows: Samples, components: Tensor) -> Tensor:
    """Return the coordinates of samples on the whitened axes, (n, k)."""
    return rows.gather(lambda part: network.standardize(rows.inputs(part, torch.float64)) @ components)


def _solved(latents: Tensor, labels: Tensor, weight: np.ndarray, n_classes: int, l2: float) -> LinearHead:
    """Return the optimal head on the axes (n, k)."""

    def chunks() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return iter([(latents, labels, torch.from_numpy(weight))])

    return logistic_regression(chunks, latents.shape[1], n_classes, l2=l2, tolerance=1e-8)


def _flattened(
    full: LinearHead, axes: tuple[int, ...], latents: Tensor, labels: Tensor, weight: np.ndarray
) -> LinearHead:
    """Remove axes from a head, and fit scale and bias of the rest again with balanced classes."""
    left = full.weight.clone()
    left[:, list(axes)] = 0
    logits = latents @ left.T
    # The remaining logits get a linear recalibration; the tiny penalty only makes it unique.
    again = _solved(logits, labels, weight, len(left), l2=1e-6)
    return LinearHead(again.weight @ left, again.bias)


def _score(head: LinearHead, latents: Tensor, rows: Samples, rule: str) -> float:
    """Return the validation score of a head on the axes."""
    predicted = (latents @ head.weight.T + head.bias).argmax(1).numpy()
    return float(RULES[rule](evaluate_groups(rows.y, predicted, rows.groups)))
