"""Reweighted groups: every group counts the same, with given groups or with inferred ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from longway.data.samples import Samples, inverse_frequency
from longway.methods._base import FitData
from longway.methods._group_aware import GroupAware
from longway.methods._parameters import parameters
from longway.methods.erm import ERM


@parameters
class RWG(GroupAware, ERM):
    """Train on batches in which every group is as frequent (RWG); a linear head weighs its loss instead.

    Parameters
    ----------
    group_inference : {"auto", "axes", "errors", "clusters", "disagreement"}, default "auto"
        How groups are found where ``fit`` is given none: ``axes`` reads them off the shortcut axes of a beta-VAE that
        is trained without labels, the others off the errors of a weak classifier, clusters within classes, and the
        disagreement of two classifiers. ``auto`` takes ``errors`` on images where these are surer than axes, else
        ``axes``. See ``longway.groups``.
    group_inference_params : dict, optional
        Options of that way; those of ``axes`` with ``auto``.
    averaging : float, default 0.1
        As in ``ERM``; of networks.
    selection : str, default "worst_group"
        Validation groups are the given ones, or inferred like the training groups.
    **erm
        All parameters of ``ERM``.

    Attributes
    ----------
    group_inference_ : dict
        What was inferred, how far to trust it, and the seed with which ``infer_groups`` finds the same; empty where
        groups were given.

    References
    ----------
    Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022 (RWG).
    """

    group_inference: str = "auto"
    group_inference_params: dict[str, Any] | None = None
    averaging: float = 0.1
    selection: str = "worst_group"

    def _balance(self, rows: Samples, task: FitData) -> np.ndarray | None:
        assert rows.groups is not None  # given or inferred
        return inverse_frequency(rows.groups, rows.weight)
