"""Read a model's axes: latent axes of SITAR and of inferred groups, whitened axes of a SITAR head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from longway.data.samples import Samples, predict_logits
from longway.data.validation import check_numbers
from longway.groups.axes import AxisGroups, walks
from longway.linear.feature_head import FeatureHead
from longway.methods import SITAR, SITARHead
from longway.methods.sitar.estimator import SitarNet
from longway.nn.vae import MeanEncoder

STEPS = 9
"""Pictures of a traversal of an axis."""


@dataclass(frozen=True)
class AxisView:
    """All axes of a model.

    Parameters
    ----------
    values : ndarray of shape (n, k)
        Positions of the samples on the axes.
    scores : ndarray of shape (k,)
        Shortcut scores on the training data.
    effect : ndarray of shape (k,)
        See ``Direction.effect``.
    flat : tuple of int
        Axes that the head was made flat along.
    traversals : ndarray of shape (k, steps, c, h, w), optional
    """

    values: np.ndarray
    scores: np.ndarray
    effect: np.ndarray
    flat: tuple[int, ...] = ()
    traversals: np.ndarray | None = None


def view_axes(model: object, X: np.ndarray) -> AxisView | None:
    """Return the axes of a fitted model and the positions of samples (n, ...) on them; None if it has no axes."""
    if isinstance(model, AxisGroups):
        return _of_groups(model, X)
    if isinstance(model, SITAR):
        return _of_sitar(model, X)
    if isinstance(model, SITARHead):
        return _of_head(model, X)
    return None


def _of_groups(found: AxisGroups, X: np.ndarray) -> AxisView:
    samples = Samples(check_numbers(X, "X"), np.zeros(len(X), np.int64), np.ones(len(X)))
    values = predict_logits(MeanEncoder(found.vae), samples).numpy()
    pictures = found.traverse(STEPS) if X.ndim == 4 else None
    return AxisView(values, found.scores, np.full(len(found.scores), np.nan), traversals=pictures)


def _of_sitar(model: SITAR, X: np.ndarray) -> AxisView:
    network = cast(SitarNet, model._fitted_module())
    values = model.latents(X)

    def head(latents: Tensor) -> Tensor:
        weight = next(network.classifier.parameters())
        return network.classifier(latents.to(weight)).cpu()

    pictures = walks(network.vae, values, STEPS) if X.ndim == 4 else None
    return AxisView(values, model.shortcut_scores_, _effects(head, values), traversals=pictures)


def _of_head(model: SITARHead, X: np.ndarray) -> AxisView:
    network = cast(FeatureHead, model._fitted_module())
    # weight on features = components.T @ weight on axes: solve for the latter.
    weight, components = network.linear.weight.detach().cpu().double(), torch.from_numpy(model.components_)
    on_axes = torch.linalg.lstsq(components, weight.T).solution
    bias = network.linear.bias.detach().cpu().double()
    values = model.project(X)
    effect = _effects(lambda latents: latents @ on_axes + bias, values)
    return AxisView(values, model.shortcut_scores_, effect, tuple(model.axes_))


def _effects(head: Callable[[Tensor], Tensor], values: np.ndarray) -> np.ndarray:
    """Return the mean change of a head's probabilities with one std along each axis; the head maps axes to logits."""
    places, std = torch.from_numpy(values).double(), values.std(0)
    moved = np.empty(len(std))
    with torch.inference_mode():
        for axis, step in enumerate(std.tolist()):
            ends = []
            for side in (-0.5, 0.5):
                at = places.clone()
                at[:, axis] += side * step
                ends.append(head(at).softmax(1))
            moved[axis] = float((ends[1] - ends[0]).abs().amax(1).mean())
    return moved
