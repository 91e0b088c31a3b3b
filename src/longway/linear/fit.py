"""Linear heads on standardised features, fitted to the optimum on data of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from longway.data.samples import Samples
from longway.linear._logistic import logistic_regression
from longway.linear._minimax import minimax_regression
from longway.linear.feature_head import FeatureHead
from longway.linear.head import LinearHead
from longway.utils.errors import LongwayError


def fit_linear(rows: Samples, n_classes: int, l2: Tensor | float, *, standardize: bool = True) -> FeatureHead:
    """Fit a linear head by multinomial logistic regression.

    Parameters
    ----------
    rows : Samples
        Features (n, d) with labels and sample weights.
    n_classes : int
        C.
    l2 : float or Tensor of shape (d,)
        Penalty on squared weights, relative to the weighted mean loss.
    standardize : bool, default True
        Scale features to mean 0 and standard deviation 1 first, so that the penalty means the same for every feature.

    Returns
    -------
    FeatureHead
        In float64, so that predictions do not depend on how samples are batched.
    """
    data = _SolverData(rows, n_classes, standardize)
    chunks = data.chunks(rows.y, rows.weight / rows.weight.sum())
    data.network.set_linear(logistic_regression(chunks, rows.shape[0], n_classes, l2=l2, **data.options))
    return data.network


class MinimaxHead(NamedTuple):
    """A linear head with the adversary's weights of the groups (G,), and a bound on its distance from the minimum."""

    network: FeatureHead
    group_weights: Tensor
    gap: float


def fit_minimax(
    rows: Samples, n_classes: int, l2: Tensor | float, *, offset: Tensor | None = None, standardize: bool = True
) -> MinimaxHead:
    """Fit a linear head that minimises the largest group loss.

    Parameters
    ----------
    rows : Samples
        Features (n, d) with labels, sample weights, and groups 0 to G - 1 that all occur.
    n_classes : int
        C.
    l2 : float or Tensor of shape (d,)
        Penalty on squared weights, relative to the largest of the groups' weighted mean losses.
    offset : Tensor of shape (G,), optional
        Added to the group losses.
    standardize : bool, default True
        Scale features to mean 0 and standard deviation 1 first, with equally weighted groups.

    Returns
    -------
    MinimaxHead
    """
    assert rows.groups is not None
    totals = np.bincount(rows.groups, rows.weight)
    weight = rows.weight / np.where(totals > 0, totals, 1)[rows.groups]
    data = _SolverData(rows.reweighted(weight), n_classes, standardize)
    chunks = data.chunks(rows.y, weight, rows.groups)
    found = minimax_regression(chunks, rows.shape[0], n_classes, len(totals), l2=l2, offset=offset, **data.options)
    data.network.set_linear(found.head)
    return MinimaxHead(data.network, found.group_weights, found.gap)


class _SolverData:
    """Features for a solver: standardised and held in memory if they are small, else streamed."""

    def __init__(self, rows: Samples, n_classes: int, standardize: bool) -> None:
        self.rows, self.network = rows, _unfitted(rows, n_classes, standardize)
        # Small problems are solved in double precision, where the optimum is exact to far more digits than are shown.
        small = len(rows) * rows.shape[0] <= 2**22
        self.dtype, tolerance = (torch.float64, 1e-9) if small else (torch.float32, 1e-5)
        # Features in memory are scaled once; streamed ones by the solver, which folds the scaling into the head.
        scale = self.network.standardize
        mean, std = (None, None) if rows.is_small else (scale.mean, scale.std)
        self.options: dict[str, Any] = {"mean": mean, "std": std, "tolerance": tolerance}

    def chunks(self, labels: np.ndarray, weights: np.ndarray, *groups: np.ndarray) -> Callable[[], Iterator[Any]]:
        """Return an iterator over batches of features with labels, weights and, if given, groups."""
        columns = (torch.from_numpy(labels), torch.from_numpy(weights).to(self.dtype), *map(torch.from_numpy, groups))
        if self.rows.is_small:
            features = standardized_features(self.network, self.rows, self.dtype)
            return lambda: iter([(features, *columns)])
        return lambda: (
            (self.rows.inputs(part, self.dtype), *(column[part] for column in columns)) for part in self.rows.slices()
        )


def standardized_features(network: FeatureHead, rows: Samples, dtype: torch.dtype) -> Tensor:
    """Return features (n, d), standardised by the network, on its device; memory stays near their size."""
    device = network.linear.weight.device
    precision = torch.promote_types(dtype, rows.precision)
    mean, std = (part.to(precision) for part in (network.standardize.mean, network.standardize.std))
    features = torch.empty(len(rows), *rows.shape, dtype=dtype, device=device)
    # Pieces that fit in the cache are scaled before they are written (docs/experiments/0006-dfr-solver.md).
    for part in rows.slices(rows.cached):
        features[part] = rows.inputs(part, precision).to(device).sub(mean).div_(std)
    return features


def initial_head(
    head: tuple[ArrayLike, ArrayLike] | None,
    rows: Samples,
    n_classes: int,
    l2: float,
    *,
    standardize: bool = True,
    name: str = "head",
) -> FeatureHead:
    """Return the initial head of a method: the given one, or one fitted to the training features.

    Parameters
    ----------
    head : (array-like of shape (C, d), array-like of shape (C,)) or None
        Weight and bias on raw features.
    rows, n_classes, l2, standardize
        See ``fit_linear``.
    name : str, default "head"
        The user's name of the given head, for messages.

    Raises
    ------
    LongwayError
        If the given head has another shape.
    """
    if head is None:
        return fit_linear(rows, n_classes, l2, standardize=standardize)
    weight, bias = (torch.as_tensor(np.asarray(part), dtype=torch.float64) for part in head)
    if weight.shape != (n_classes, *rows.shape) or bias.shape != (n_classes,):
        raise LongwayError(
            f"{name} holds a weight of shape {tuple(weight.shape)} and a bias of {tuple(bias.shape)}; they must be "
            f"{(n_classes, *rows.shape)} and {(n_classes,)}, one row for each class"
        )
    network = _unfitted(rows, n_classes, standardize)
    # The inverse of ``FeatureHead.folded``: the same logits from standardised features.
    network.set_linear(LinearHead(weight * network.standardize.std, bias + weight @ network.standardize.mean))
    return network


def _unfitted(rows: Samples, n_classes: int, standardize: bool) -> FeatureHead:
    network = FeatureHead(rows.shape[0], n_classes).double()
    if standardize:
        network.standardize.set(*rows.moments())
    return network
