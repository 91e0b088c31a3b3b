"""Invariant risk minimisation: one classifier on the features should be optimal in every environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from longway.functional.invariance import irm_penalty
from longway.methods._group_aware import GroupAware
from longway.methods._registry import register
from longway.methods.erm import ERM
from longway.methods.invariance._environments import ComparesEnvironments
from longway.training.selection import LAST


@register
class IRM(ComparesEnvironments, GroupAware, ERM):
    r"""Penalise how much a rescaled classifier would gain in a single environment (IRMv1).

    The objective is the mean over environments of :math:`R_e + \lambda (\partial_w R_e(w f))^2` at w = 1, with the risk
    :math:`R_e` of environment e. Batches hold all environments equally often. During the first ``anneal`` of training
    the weight of the penalty is at most 1; afterwards the whole loss is divided by the weight if that is above 1.

    Groups that hold more than one class each are environments. Groups of one class each are taken for class x
    attribute: the largest group of each class is the first environment, the second largest the next, and so on. The
    attribute itself would not do: a classifier sees it, and the best one that uses it is optimal for each value.

    Parameters
    ----------
    penalty : float, default 10
        Weight of the penalty, the paper's lambda.
    anneal : float, default 0.25
        Fraction of training before the penalty gets its weight.
    hidden : sequence of int, default (128,)
        As in ``ERM``; the network is trained even without a hidden layer.
    l2 : float, default 0
        Penalty on the squared weights and biases of the network, in the loss, which is divided by ``penalty`` later.
    averaging : float, default 0
        As in ``ERM``.
    selection : default "worst_group"
        Validation groups are the given ones, or inferred like the training groups.
    **group_aware
        ``group_inference`` and ``group_inference_params``, as in ``GroupAware``.
    **erm
        All other parameters of ``ERM``. If a batch holds all samples, each step takes every sample once.

    Attributes
    ----------
    environment_sizes_ : ndarray of shape (E, C)
        Training samples of each class in each environment.
    group_inference_ : dict
        As in ``GroupAware``.

    References
    ----------
    Arjovsky et al., "Invariant risk minimization", arXiv 1907.02893. The derivative is squared on each batch, which
    adds its variance over batches to the penalty.
    """

    needs = "samples that contradict the shortcut"
    difference = staticmethod(irm_penalty)
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cmnist": {
            "penalty": 91257.18613115903,
            "anneal": 190 / 501,
            "hidden": (390, 390),
            "l2": 0.00110794568,
            "optimizer": "adamw",
            "learning_rate": 0.0004898536566546834,
            "weight_decay": 0.0,
            "epochs": 501,
            "batch_size": 50_000,
            "selection": LAST,
        }
    }
