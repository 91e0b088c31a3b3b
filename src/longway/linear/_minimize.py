"""L-BFGS for smooth objectives whose value and gradient torch computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from longway.utils.threads import one_blas_thread


def minimize_smooth(
    objective: Callable[..., tuple[float, np.ndarray]],
    start: np.ndarray,
    *arguments: Any,
    tolerance: float,
    max_iter: int,
    decrease: float = 0.0,
) -> OptimizeResult:
    """Minimise a smooth function.

    Parameters
    ----------
    objective : callable
        ``objective(x, *arguments)`` returns the value and the gradient, of shape (n,).
    start : ndarray of shape (n,)
    tolerance : float
        Stop when no entry of the gradient exceeds it.
    max_iter : int
    decrease : float, default 0
        Stop when an iteration lowers the value by a smaller fraction.

    Returns
    -------
    OptimizeResult
        ``x`` and ``fun``.
    """
    # maxcor is twice SciPy's default, chosen by hand: an evaluation reads all the data, more memory costs little.
    options = {"maxiter": max_iter, "maxcor": 20, "gtol": tolerance, "ftol": decrease, "maxfun": 4 * max_iter}
    with one_blas_thread():
        return minimize(objective, start, arguments, jac=True, method="L-BFGS-B", options=options)
