"""Empirical risk minimisation: the ordinary classifier that everything is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import numpy as np
from torch import nn

from longway.data.samples import Samples, predict_logits
from longway.linear.fit import fit_linear
from longway.linear.module import FeatureHead
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameters
from longway.methods._search_space import Between, Space
from longway.nn.classifier import CrossEntropy, Features, build_classifier
from longway.nn.convnet import ConvNet
from longway.training.loop import Schedule, train
from longway.training.selection import BestEpoch


@parameters
class ERM(Method):
    """Minimise the average loss: a linear or MLP head on features, a small convolutional net on images.

    Parameters
    ----------
    hidden : sequence of int, default ()
        Widths of the hidden layers of a head on features. With none the head is linear, and the convex problem is
        solved to its optimum: nothing below except ``l2`` matters then. On images the net is a ``ConvNet``.
    l2 : float, default 1e-2
        Penalty on the linear head's weights, beside the mean loss, on standardised features.
    epochs : int, default 20
    batch_size : int, default 128
    learning_rate : float, default 1e-3
        Of Adam.
    weight_decay : float, default 1e-4
        Decoupled, for trained nets.
    averaging : float, default 0
        Share of the steps so far over which the weights of trained nets are averaged; 0 takes the last step's. See
        ``longway.training.weight_average``.
    selection : {"average", "balanced", "worst_class", "worst_group", "auto"}, default "average"
        Which validation score chooses the epoch that is kept.
    validation_fraction : float, default 0.1
        Share of the training data to validate on where no ``eval_set`` is given.
    device : str, default "auto"
    random_state : int, RandomState or None, default 0
    verbose : int, default 0
        1 shows a progress bar.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> round(float(ERM().fit(X, y).score(X, y)), 2)
    0.96
    """

    takes_images = True
    space: ClassVar[Space] = {
        "l2": Between(1e-4, 1.0, log=True),
        "learning_rate": Between(1e-4, 1e-2, log=True),
        "weight_decay": Between(1e-6, 1e-1, log=True),
    }

    hidden: Sequence[int] = ()
    l2: float = 1e-2
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    averaging: float = 0.0
    selection: str = "average"
    validation_fraction: float = 0.1
    device: str = "auto"
    random_state: int | np.random.RandomState | None = 0
    verbose: int = 0

    def features(self, X: np.ndarray) -> np.ndarray:
        """Return what the last linear layer sees, of shape (n, k): the fitted net as a frozen backbone."""
        module = cast(ConvNet | FeatureHead, self._fitted_module())
        return predict_logits(Features(module), self._rows(X)).numpy()

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
        return build_classifier(input_shape, n_classes, self.hidden)

    def _is_solved(self, rows: Samples) -> bool:
        """Return whether the network is a linear head, which is solved rather than trained."""
        return len(rows.shape) == 1 and not self.hidden

    def _fit(self, task: FitData) -> nn.Module:
        if self._is_solved(task.rows):
            return self._solved(task)
        rows, validation, source = task.split(self.validation_fraction)
        return self._train(self._chosen(rows, task), validation, source, task)

    def _solved(self, task: FitData) -> nn.Module:
        """Return a linear head for rows that are chosen."""
        return self._solve(self._chosen(task.rows, task), task)

    def _solve(self, rows: Samples, task: FitData) -> nn.Module:
        """Return a linear head that is fitted to the optimum."""
        balance = self._balance(rows, task)
        rows = rows if balance is None else rows.reweighted(rows.weight * balance)
        return fit_linear(rows, task.n_classes, self.l2)

    def _train(self, rows: Samples, validation: Samples, source: str, task: FitData) -> nn.Module:
        """Return a trained network as it was after its best epoch; set ``history_`` and ``selection_``."""
        sampling = self._balance(rows, task)
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
        """Return an untrained network that knows the scale of the features."""
        network = self._build(rows.shape, task.n_classes)
        if isinstance(network, FeatureHead):
            network.standardize.set(*rows.moments())
        return network

    def _schedule(self, epochs: int) -> Schedule:
        return Schedule(epochs, self.batch_size, self.learning_rate, self.weight_decay, self.averaging)

    def _chosen(self, rows: Samples, task: FitData) -> Samples:
        """Return those of the training rows that are to be learnt from."""
        return rows

    def _balance(self, rows: Samples, task: FitData) -> np.ndarray | None:
        """Return how often each row is to count, of shape (n,); None where all count the same."""
        return None

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        """Return what trains a network, and the arrays of shape (n,) that it wants to see beside a batch."""
        return CrossEntropy(network), ()

    def _keep(self, objective: nn.Module) -> None:
        """Store what the objective learnt beside the network."""
