"""Linear heads on standardised features, fitted to the optimum on data of any size."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from longway.functional.convex import logistic_regression
from longway.nn.heads import FeatureHead
from longway.rows import Rows

CHUNK = 8192
"""Rows read at a time where the data are too large to hold."""


def fit_linear(rows: Rows, n_classes: int, ridge: Tensor | float, *, standardize: bool = True) -> FeatureHead:
    """Fit a linear head by multinomial logistic regression.

    Parameters
    ----------
    rows : Rows
        Features (n, d) with labels and sample weights.
    n_classes : int
        C.
    ridge : float or Tensor of shape (d,)
        Penalty on squared weights, beside the weighted mean loss.
    standardize : bool, default True
        Scale features to mean 0 and deviation 1 first; the ridge then means the same for every feature.

    Returns
    -------
    FeatureHead
        In float64, so that predictions do not depend on how rows are batched.
    """
    network = FeatureHead(rows.shape[0], n_classes).double()
    if standardize:
        network.standardize.set(*rows.moments())
    # Small problems are solved in double precision: there the optimum is exact to far more than what shows.
    dtype, tolerance = (torch.float64, 1e-9) if len(rows) * rows.shape[0] <= 2**22 else (torch.float32, 1e-5)
    labels, weights = torch.from_numpy(rows.y), torch.from_numpy(rows.weight / rows.weight.sum()).to(dtype)

    def read(part: slice) -> tuple[Tensor, Tensor, Tensor]:
        return network.standardize(rows.inputs(part, torch.float64)).to(dtype), labels[part], weights[part]

    held = [read(slice(0, len(rows)))] if rows.is_small else None

    def chunks() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return iter(held) if held else map(read, rows.slices(CHUNK))

    network.set_linear(logistic_regression(chunks, rows.shape[0], n_classes, ridge=ridge, tolerance=tolerance))
    return network
