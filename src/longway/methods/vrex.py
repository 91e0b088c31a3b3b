"""Risk extrapolation: the risk is to be the same in every environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from longway.functional.invariance import risk_variance
from longway.methods.irm import IRM


class VREx(IRM):
    """Penalise the variance of the risk over environments (V-REx).

    The objective is the mean of the environments' risks plus lambda times their variance. Environments, batches and
    annealing are those of ``IRM``.

    Parameters
    ----------
    penalty : float, default 10
        Weight of the variance, the paper's beta.
    **irm
        All other parameters of ``IRM``.

    Attributes
    ----------
    environment_sizes_, group_inference_
        As in ``IRM``.

    References
    ----------
    Krueger et al., "Out-of-distribution generalization via risk extrapolation (REx)", ICML 2021.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @property
    def _difference(self) -> Callable[..., Tensor]:
        return risk_variance
