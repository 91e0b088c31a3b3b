"""L-BFGS for smooth objectives whose value and gradient torch computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from longway.utils.threads import one_blas_thread

MEMORY = 20
"""Steps that the curvature estimate remembers."""


def minimize_smooth(
    objective: Callable[..., tuple[float, np.ndarray]],
    start: np.ndarray,
    *arguments: Any,
    tolerance: float,
    max_iter: int,
    decrease: float = 0.0,
) -> OptimizeResult:
    """Minimise an objective.

    Parameters
    ----------
    objective : callable
        ``objective(x, *arguments)`` returns the value and the gradient, of shape (n,).
    start : ndarray of shape (n,)
    arguments
        Handed on.
    tolerance : float
        Stops when no entry of the gradient exceeds it.
    max_iter : int
    decrease : float, default 0
        Stops when the value falls by a smaller share than this.

    Returns
    -------
    OptimizeResult
        ``x`` and ``fun``.
    """
    options = {"maxiter": max_iter, "maxcor": MEMORY, "gtol": tolerance, "ftol": decrease, "maxfun": 4 * max_iter}
    with one_blas_thread():
        return minimize(objective, start, arguments, jac=True, method="L-BFGS-B", options=options)
