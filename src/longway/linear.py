"""Linear heads on standardised features, fitted to the optimum on data of any size."""

from __future__ import annotations

import torch
from torch import Tensor

from longway.functional.convex import logistic_regression
from longway.nn.heads import FeatureHead
from longway.rows import Rows


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
    if rows.is_small:
        held = network.standardize(rows.inputs(slice(None), torch.float64)).to(dtype)
        head = logistic_regression(
            lambda: iter([(held, labels, weights)]), rows.shape[0], n_classes, ridge=ridge, tolerance=tolerance
        )
    else:
        head = logistic_regression(
            lambda: ((rows.inputs(part, dtype), labels[part], weights[part]) for part in rows.slices()),
            rows.shape[0],
            n_classes,
            ridge=ridge,
            mean=network.standardize.mean,
            spread=network.standardize.spread,
            tolerance=tolerance,
        )
    network.set_linear(head)
    return network
