"""Risk extrapolation: the risk should be the same in every environment."""

from __future__ import annotations

from longway.functional.invariance import risk_variance
from longway.methods._group_aware import GroupAware
from longway.methods._registry import register
from longway.methods.erm import ERM
from longway.methods.invariance._environments import ComparesEnvironments


@register
class VREx(ComparesEnvironments, GroupAware, ERM):
    """Penalise the variance of the risk over environments (V-REx).

    The objective is the mean of the environments' risks plus ``penalty`` times their variance. Environments, batches
    and annealing are those of ``IRM``.

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

    needs = "samples that contradict the shortcut"
    difference = staticmethod(risk_variance)
