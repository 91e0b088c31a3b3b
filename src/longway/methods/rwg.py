"""Reweighted groups: every group, given or inferred, has the same total weight."""

from __future__ import annotations

from longway.methods._group_aware import GroupAware, by_group
from longway.methods._registry import register
from longway.methods.erm import ERM


@register
class RWG(GroupAware, ERM):
    """Train on batches in which all groups are equally frequent (RWG); a linear head weights its loss instead.

    Parameters
    ----------
    averaging : float, default 0.1
        As in ``ERM``; of networks.
    selection : default "worst_group"
        Validation groups are the given ones, or inferred like the training groups.
    **group_aware
        ``group_inference`` and ``group_inference_params``, as in ``GroupAware``.
    **erm
        All parameters of ``ERM``.

    Attributes
    ----------
    group_inference_ : dict
        As in ``GroupAware``.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (RWG).
    """

    needs = "samples that contradict the shortcut"
    weighting = staticmethod(by_group)

    averaging: float = 0.1
    selection: str = "worst_group"
