"""Empirical risk minimisation: the ordinary classifier that everything is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.base import Method, Task
from longway.linear import fit_linear
from longway.nn.convnet import ConvNet
from longway.nn.heads import FeatureHead
from longway.rows import Rows, predict_logits
from longway.selection import BestEpoch
from longway.training import Schedule, train


class ERM(Method):
    """Minimise the average loss: a linear or MLP head on features, a small convolutional net on images.

    Parameters
    ----------
    hidden : sequence of int, default ()
        Widths of the hidden layers of a head on features. With none the head is linear, and the convex problem is
        solved to its optimum: nothing below except ``ridge`` matters then. On images the net is a ``ConvNet``.
    ridge : float, default 1e-2
        Penalty on the linear head's weights, beside the mean loss, on standardised features.
    epochs : int, default 20
    batch_size : int, default 128
    learning_rate : float, default 1e-3
        Of Adam.
    weight_decay : float, default 1e-4
        Decoupled, for trained nets.
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

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (),
        ridge: float = 1e-2,
        epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        selection: str = "average",
        validation_fraction: float = 0.1,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 0,
    ) -> None:
        self.hidden = hidden
        self.ridge = ridge
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.selection = selection
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def features(self, X: np.ndarray) -> np.ndarray:
        """Return what the last linear layer sees, of shape (n, k): the fitted net as a frozen backbone."""
        module = cast(ConvNet | FeatureHead, self._fitted_module())
        return predict_logits(Features(module), self._rows(X)).numpy()

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
        if len(input_shape) == 3:
            return ConvNet(input_shape, n_classes)
        return FeatureHead(input_shape[0], n_classes, self.hidden)

    def _fit(self, task: Task) -> nn.Module:
        if len(task.rows.shape) == 1 and not self.hidden:
            balance = self._balance(task.rows)
            rows = task.rows if balance is None else task.rows.reweighted(task.rows.weight * balance)
            return fit_linear(rows, task.n_classes, self.ridge)
        rows, validation, source = task.split(self.validation_fraction)
        network = self._build(rows.shape, task.n_classes)
        if isinstance(network, FeatureHead):
            network.standardize.set(*rows.moments())
        best = BestEpoch(network, validation, self.selection, source)
        self.history_ = train(
            CrossEntropy(network),
            rows,
            Schedule(self.epochs, self.batch_size, self.learning_rate, self.weight_decay),
            generator=task.generator,
            device=self.device,
            sampling=self._balance(rows),
            after_epoch=best.observe,
            verbose=self.verbose,
            description=type(self).__name__,
        )
        self.selection_ = best.restore()
        return network

    def _balance(self, rows: Rows) -> np.ndarray | None:
        """Return how often each row is to count, of shape (n,); None where all count the same."""
        return None


class Features(nn.Module):
    """The part of a network below its last linear layer."""

    def __init__(self, network: ConvNet | FeatureHead) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (n, ...) to features (n, k)."""
        return self.network.features(x)


class CrossEntropy(nn.Module):
    """The weighted mean cross-entropy of a network, as the training loop wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch with labels (n,) and sample weights (n,)."""
        return {"loss": (cross_entropy(self.network(x), y, reduction="none") * weight).mean()}
