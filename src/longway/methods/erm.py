"""Empirical risk minimisation: the ordinary classifier that every other method is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import numpy as np
from torch import nn

from longway.data.samples import Samples, predict_logits
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import fit_linear
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Real, Space
from longway.nn.classifier import CrossEntropy, Features, build_classifier
from longway.nn.convnet import ConvNet
from longway.training.loop import Schedule, train
from longway.training.selection import LAST, RULES, BestEpoch
from longway.utils.optimizers import OPTIMIZERS
from longway.utils.rules import BELOW_ONE, COUNT, NON_NEGATIVE, POSITIVE, PROPORTION, WIDTHS, Choice


def equally(rows: Samples) -> np.ndarray | None:
    """Weight all samples equally."""
    return None


def everything(rows: Samples, generator: np.random.Generator) -> np.ndarray | None:
    """Train on all samples."""
    return None


@register
class ERM(Method):
    """Minimise the average loss: a linear or MLP head on features, a small convolutional network on images.

    A relative of ERM replaces one of its strategies: ``subset`` maps the samples to the positions of those to train on,
    ``weighting`` to the weights (n,) by which a linear head multiplies its loss and in proportion to which a network
    draws its batches, and ``_objective`` returns what is minimised.

    Parameters
    ----------
    hidden : sequence of int, default ()
        Widths of the hidden layers of a head on features. Without any the head is linear and the convex problem is
        solved to its optimum, unless an ``optimizer`` is named; ``l2`` is then the only parameter below that matters.
        On images the network is a ``ConvNet``.
    l2 : float, default 1e-2
        Penalty on the squared weights of the linear head, on standardised features, relative to the mean loss.
    epochs : int, default 20
    batch_size : int, default 128
    learning_rate : float, default 1e-3
    weight_decay : float, default 1e-4
        Decoupled in Adam, coupled in SGD; for networks.
    optimizer : {"auto", "adamw", "sgd"}, default "auto"
        ``auto`` is Adam for networks. If one is named, a linear head is trained by its steps, too. Published settings
        name that of their source, because rates and decays of one mean nothing in the other.
    momentum : float, default 0
        Of SGD.
    averaging : float, default 0
        Fraction of the steps so far over which the weights of a network are averaged; 0 takes those of the last step.
        See ``longway.training.weight_average``.
    selection : default "average"
        As in ``Method``, or "last": keep the last epoch, as some published settings do.
    **method
        All parameters of ``Method``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> round(float(ERM().fit(X, y).score(X, y)), 2)
    0.96
    """

    takes_images = True
    weighting = staticmethod(equally)
    subset = staticmethod(everything)
    always_trains: ClassVar[bool] = False
    """True if even a linear head is trained by gradient steps, because the objective is not convex."""

    hidden: Sequence[int] = parameter((), WIDTHS)
    l2: float = parameter(1e-2, NON_NEGATIVE, search=Real(1e-4, 1.0, log=True))
    epochs: int = parameter(20, COUNT)
    batch_size: int = parameter(128, COUNT)
    learning_rate: float = parameter(1e-3, POSITIVE, search=Real(1e-4, 1e-2, log=True))
    weight_decay: float = parameter(1e-4, NON_NEGATIVE, search=Real(1e-6, 1e-1, log=True))
    optimizer: str = parameter("auto", Choice(("auto", *OPTIMIZERS)))
    momentum: float = parameter(0.0, BELOW_ONE)
    averaging: float = parameter(0.0, PROPORTION)
    selection: str = parameter("average", Choice(("auto", *RULES, LAST)))

    @classmethod
    def search_space(cls) -> Space:
        """Return the range of each parameter that a search tunes; ``l2`` only if a linear head may be solved."""
        return {name: each for name, each in super().search_space().items() if name != "l2" or not cls.always_trains}

    def features(self, X: np.ndarray) -> np.ndarray:
        """Return the inputs of the last linear layer, of shape (n, k): the fitted network as a frozen backbone."""
        module = cast(ConvNet | FeatureHead, self._fitted_module())
        return predict_logits(Features(module), self._samples(X)).numpy()

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
        return build_classifier(input_shape, n_classes, self.hidden)

    def _is_solved(self, rows: Samples) -> bool:
        """Return whether the network is a linear head, which is solved rather than trained."""
        steps = self.always_trains or self.optimizer != "auto"
        return len(rows.shape) == 1 and not self.hidden and not steps

    def _fit(self, task: FitData) -> nn.Module:
        if self._is_solved(task.rows):
            return self._solved(task)
        rows, validation, source = task.split(self.validation_fraction)
        return self._train(self._chosen(rows, task), validation, source, task)

    def _solved(self, task: FitData) -> nn.Module:
        """Return a linear head fitted to the subset."""
        return self._solve(self._chosen(task.rows, task), task)

    def _solve(self, rows: Samples, task: FitData) -> nn.Module:
        """Return a linear head fitted to the optimum."""
        weights = self._weights(rows, task)
        rows = rows if weights is None else rows.reweighted(rows.weight * weights)
        return fit_linear(rows, task.n_classes, self.l2)

    def _train(self, rows: Samples, validation: Samples, source: str, task: FitData) -> nn.Module:
        """Return a trained network as it was after its best epoch; set ``history_`` and ``selection_``."""
        sampling = self._weights(rows, task)
        network = self._fresh(rows, task)
        best = BestEpoch(network, validation, self.selection, source)
        objective, extras = self._objective(network, rows, task)
        self.history_ = train(
            objective,
            rows,
            self._schedule(self.epochs),
            generator=task.generator,
            device=self.device,
            sampling=sampling,
            extras=extras,
            callback=best.observe,
            verbose=self.verbose,
            description=type(self).__name__,
        )
        self.selection_ = best.restore()
        self._keep(objective)
        return network

    def _fresh(self, rows: Samples, task: FitData) -> nn.Module:
        """Return an untrained network that standardises features by the moments of the samples."""
        network = self._build(rows.shape, task.n_classes)
        if isinstance(network, FeatureHead):
            network.standardize.set(*rows.moments())
        return network

    def _schedule(self, epochs: int) -> Schedule:
        optimizer = "adamw" if self.optimizer == "auto" else self.optimizer
        return Schedule(
            epochs, self.batch_size, self.learning_rate, self.weight_decay, self.averaging, optimizer, self.momentum
        )

    def _chosen(self, rows: Samples, task: FitData) -> Samples:
        """Return the training samples to learn from."""
        chosen = self.subset(rows, task.generator)
        return rows if chosen is None else rows.take(chosen)

    def _weights(self, rows: Samples, task: FitData) -> np.ndarray | None:
        """Return the weight of each sample, of shape (n,); None if all are weighted equally."""
        return self.weighting(rows)

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        """Return the objective, and the arrays of shape (n,) that it takes in addition to a batch."""
        return CrossEntropy(network), ()

    def _keep(self, objective: nn.Module) -> None:
        """Store what the objective learnt in addition to the network."""
