"""Spectral regularisation of the representation: the feature map is to stretch no direction much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples
from longway.functional.spectral import layer_maps, top_singular_value
from longway.linear.feature_head import FeatureHead
from longway.methods._base import FitData
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Real
from longway.methods.erm import ERM
from longway.nn.convnet import ConvNet
from longway.training.selection import LAST
from longway.training.warmup import Warmup
from longway.utils.rules import BELOW_ONE, NON_NEGATIVE


@register
class RepSpectral(ERM):
    r"""Penalise the largest singular value of each layer below the last (spectral regularisation of representations).

    The objective is the cross-entropy plus :math:`\lambda \sum_l \sigma_{max}(W_l)^2` over the linear and convolutional
    layers of the feature map, without the last linear layer. The penalty starts after an initial part of training.
    Power iteration tracks the singular values, one step per batch, starting from the vectors of the previous batch.

    The product of these values bounds how far a change of the input moves the features. The method is designed against
    adversarial changes; a salient shortcut needs no steep feature map, and the penalty does not tell it from the core.

    Parameters
    ----------
    penalty : float, default 1e-2
        Weight of the penalty, the paper's lambda.
    burn_in : float, default 0.5
        Fraction of training before the penalty starts. ``selection`` may keep an epoch from it.
    hidden : sequence of int, default (128,)
        As in ``ERM``. A linear head has no feature map, so it is that of ``ERM``.
    **erm
        All other parameters of ``ERM``.

    Attributes
    ----------
    singular_values_ : ndarray of shape (L,)
        The largest one of each layer of the feature map, at the end.

    References
    ----------
    "Spectral regularization for adversarially-robust representation learning", arXiv 2405.17181.
    """

    # The published runs have other networks.
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {
            "penalty": 1e-4,
            "burn_in": 0.9,
            "optimizer": "sgd",
            "momentum": 0.9,
            "learning_rate": 1e-2,
            "weight_decay": 0.0,
            "epochs": 200,
            "batch_size": 1024,
            "selection": LAST,
        }
    }

    penalty: float = parameter(1e-2, NON_NEGATIVE, search=Real(1e-4, 1.0, log=True))
    burn_in: float = parameter(0.5, BELOW_ONE, search=Real(0.0, 0.9))
    hidden: Sequence[int] = (128,)

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        assert isinstance(network, ConvNet | FeatureHead)
        elapsed = Warmup(self.burn_in, self.epochs * len(rows))
        return SpectralObjective(network, LayerSpectra(network.body, rows.shape), self.penalty, elapsed), ()

    def _keep(self, objective: nn.Module) -> None:
        assert isinstance(objective, SpectralObjective)
        with torch.no_grad():
            self.singular_values_ = objective.spectra(steps=50).cpu().numpy()


class LayerSpectra(nn.Module):
    """Tracks the largest singular value of each linear and convolutional layer of a feature map.

    Parameters
    ----------
    body : nn.Module
        The feature map.
    shape : tuple of int
        Of one input.
    """

    def __init__(self, body: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        shapes = _input_shapes(body, shape)
        self.layers = list(shapes)  # a plain list: they belong to the network
        self.shapes = list(shapes.values())
        for number, size in enumerate(self.shapes):
            self.register_buffer(f"vector{number}", torch.randn(size))

    def forward(self, steps: int = 1) -> Tensor:
        """Return the largest singular values, of shape (L,), after this many steps of power iteration."""
        values = []
        for number, (layer, shape) in enumerate(zip(self.layers, self.shapes, strict=True)):
            start: Tensor = getattr(self, f"vector{number}")
            value, vector = top_singular_value(*layer_maps(layer, shape), start, steps)
            start.copy_(vector)
            values.append(value)
        return torch.stack(values)


class SpectralObjective(nn.Module):
    """Cross-entropy plus, after the burn-in, the squared largest singular values.

    Parameters
    ----------
    network : nn.Module
        Inputs to logits.
    spectra : LayerSpectra
        Of its feature map.
    penalty : float
        Lambda.
    elapsed : Warmup
    """

    def __init__(self, network: nn.Module, spectra: LayerSpectra, penalty: float, elapsed: Warmup) -> None:
        super().__init__()
        self.network, self.spectra, self.penalty, self.elapsed = network, spectra, penalty, elapsed

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch with labels (n,) and sample weights (n,), and its terms."""
        fit = (cross_entropy(self.network(x), y, reduction="none") * weight).mean()
        if not self.elapsed(len(x)):
            return {"loss": fit, "cross_entropy": fit, "stretch": torch.zeros_like(fit)}
        # One step of power iteration per batch tracks the slowly changing singular vectors.
        stretch = self.spectra().square().sum()
        return {"loss": fit + self.penalty * stretch, "cross_entropy": fit, "stretch": stretch}


def _input_shapes(body: nn.Module, shape: tuple[int, ...]) -> dict[nn.Linear | nn.Conv2d, tuple[int, ...]]:
    """Return the linear and convolutional layers of a feature map, each with the shape of its input."""
    found: dict[nn.Linear | nn.Conv2d, tuple[int, ...]] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        found[layer] = tuple(inputs[0].shape[1:])

    layers = [layer for layer in body.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    was_training = body.training
    with torch.no_grad():
        body.eval()(torch.zeros(1, *shape))
    body.train(was_training)
    for hook in hooks:
        hook.remove()
    return found
