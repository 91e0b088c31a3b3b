"""Linear heads on standardised features, fitted to the optimum on data of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from longway.data.samples import Samples
from longway.linear._hypergradient import Head
from longway.linear._logistic import logistic_regression
from longway.linear._minimax import minimax_regression
from longway.linear.module import FeatureHead
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
        Penalty on squared weights, beside the weighted mean loss.
    standardize : bool, default True
        Scale features to mean 0 and deviation 1 first; the ridge then means the same for every feature.

    Returns
    -------
    FeatureHead
        In float64, so that predictions do not depend on how rows are batched.
    """
    data = _Data.of(rows, n_classes, standardize)
    known = torch.from_numpy(rows.y), torch.from_numpy(rows.weight / rows.weight.sum()).to(data.dtype)
    mean, std = data.scaling
    head = logistic_regression(
        data.chunks(*known),
        rows.shape[0],
        n_classes,
        l2=l2,
        mean=mean,
        std=std,
        tolerance=data.tolerance,
    )
    data.network.set_linear(head)
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
        Penalty on squared weights, beside the largest of the weighted mean losses of the groups.
    offset : Tensor of shape (G,), optional
        Added to the group losses.
    standardize : bool, default True
        Scale features to mean 0 and deviation 1 first, where each group counts the same.

    Returns
    -------
    MinimaxHead
    """
    assert rows.groups is not None
    totals = np.bincount(rows.groups, rows.weight)
    weight = rows.weight / np.where(totals > 0, totals, 1)[rows.groups]
    data = _Data.of(rows.reweighted(weight), n_classes, standardize)
    known = torch.from_numpy(rows.y), torch.from_numpy(weight).to(data.dtype), torch.from_numpy(rows.groups)
    mean, std = data.scaling
    found = minimax_regression(
        data.chunks(*known),
        rows.shape[0],
        n_classes,
        len(totals),
        l2=l2,
        offset=offset,
        mean=mean,
        std=std,
        tolerance=data.tolerance,
    )
    data.network.set_linear(found.head)
    return MinimaxHead(data.network, found.group_weights, found.gap)


@dataclass(frozen=True)
class _Data:
    """Features for a solver: standardised and held in memory if they are small, else streamed."""

    rows: Samples
    network: FeatureHead
    dtype: torch.dtype
    tolerance: float

    @classmethod
    def of(cls, rows: Samples, n_classes: int, standardize: bool) -> _Data:
        network = FeatureHead(rows.shape[0], n_classes).double()
        if standardize:
            network.standardize.set(*rows.moments())
        # Small problems are solved in double precision: there the optimum is exact to far more than what shows.
        small = len(rows) * rows.shape[0] <= 2**22
        return cls(rows, network, torch.float64 if small else torch.float32, 1e-9 if small else 1e-5)

    @property
    def scaling(self) -> tuple[Tensor | None, Tensor | None]:
        """Mean and standard deviation that the solver still has to scale by."""
        scale = self.network.standardize
        return (None, None) if self.rows.is_small else (scale.mean, scale.std)

    def chunks(self, *known: Tensor) -> Callable[[], Iterator[Any]]:
        """Return an iterator over batches of features with labels, weights and groups."""
        if self.rows.is_small:
            held = scaled(self.network, self.rows, self.dtype)
            return lambda: iter([(held, *known)])
        return lambda: (
            (self.rows.inputs(part, self.dtype), *(values[part] for values in known)) for part in self.rows.slices()
        )


def scaled(network: FeatureHead, rows: Samples, dtype: torch.dtype) -> Tensor:
    """Return features (n, d), standardised by the network, on its device; memory stays near their size."""
    device = network.linear.weight.device
    precision = torch.promote_types(dtype, rows.precision)
    mean, std = (part.to(precision) for part in (network.standardize.mean, network.standardize.std))
    features = torch.empty(len(rows), *rows.shape, dtype=dtype, device=device)
    for part in rows.slices(rows.cached):
        features[part] = rows.inputs(part, precision).to(device).sub(mean).div_(std)
    return features


def first_head(
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
        Weight and bias on features as they are.
    rows, n_classes, ridge, standardize
        See ``fit_linear``.
    name : str, default "head"
        What the user calls the given head.

    Raises
    ------
    LongwayError
        If the given head is of another shape.
    """
    if head is None:
        return fit_linear(rows, n_classes, l2, standardize=standardize)
    weight, bias = (torch.as_tensor(np.asarray(part), dtype=torch.float64) for part in head)
    if weight.shape != (n_classes, *rows.shape) or bias.shape != (n_classes,):
        raise LongwayError(
            f"{name} holds a weight of shape {tuple(weight.shape)} and a bias of {tuple(bias.shape)}; they must be "
            f"{(n_classes, *rows.shape)} and {(n_classes,)}, one row for each class"
        )
    network = FeatureHead(rows.shape[0], n_classes).double()
    if standardize:
        network.standardize.set(*rows.moments())
    scaled = weight * network.standardize.std
    network.set_linear(Head(scaled, bias + weight @ network.standardize.mean))
    return network
