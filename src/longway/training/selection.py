"""Selection of the epoch to keep, by explicit rules on validation data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longway.data.samples import Samples, predict_logits
from longway.metrics.group_metrics import GroupMetrics, evaluate_groups
from longway.utils.errors import LongwayError, nearest

RULES: dict[str, Callable[[GroupMetrics], float]] = {
    "worst_group": lambda m: m.worst_group_accuracy,
    "worst_class": lambda m: m.worst_class_accuracy,
    "balanced": lambda m: m.balanced_accuracy,
    "average": lambda m: m.average_accuracy,
}
"""Selection rules by name: each maps validation metrics to a score, higher is better."""

LAST = "last"
"""The rule that selects nothing: the epoch to keep is the last one."""


def resolve_rule(rule: str, groups: np.ndarray | None) -> str:
    """Check a selection rule and resolve ``auto``: ``worst_group`` with validation groups, else ``worst_class``.

    Raises
    ------
    LongwayError
        If the rule is unknown, or needs validation groups and there are none.
    """
    if rule == "auto":
        return "worst_class" if groups is None else "worst_group"
    if rule not in RULES:
        raise LongwayError(f"selection={rule!r} is unknown; {nearest(rule, ['auto', *RULES])}")
    if rule == "worst_group" and groups is None:
        raise LongwayError(
            "selection='worst_group' needs groups of the validation data: give eval_set=(X, y, groups), "
            "or a rule without groups such as 'worst_class'"
        )
    return rule


def selection_caveats(selection: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the reason to distrust a selection, if it could not see whether the shortcut is used.

    Parameters
    ----------
    selection : mapping
        The record of a selection, with the ``rule``, the source of the ``data``, and ``debiased`` if these were changed
        to contradict the shortcut; empty if nothing was selected.

    Examples
    --------
    >>> selection_caveats({"rule": "worst_group", "data": "eval_set"})
    ()
    """
    if selection.get("rule") not in RULES or selection["rule"] == "worst_group" or selection.get("debiased"):
        return ()
    return (
        f"selected by the score {selection['rule']} on {selection['data']}, without groups: where these data hold the "
        "shortcut, this favours what uses it; give eval_set=(X, y, groups)",
    )


class BestEpoch:
    """Observer that scores a network after each epoch and keeps the best state; ties go to the later epoch.

    Parameters
    ----------
    network : nn.Module
        Maps inputs to logits.
    validation : Samples
    rule : str
        A name in ``RULES``, ``auto``, or ``last``.
    source : str
        Origin of the validation data, for the record.
    """

    def __init__(self, network: nn.Module, validation: Samples, rule: str, source: str) -> None:
        self.network, self.validation, self.source = network, validation, source
        self.rule = rule if rule == LAST else resolve_rule(rule, validation.groups)
        self.epoch, self.score = -1, -np.inf
        self.state: dict[str, Tensor] = {}

    def observe(self, epoch: int, logits: Tensor | None = None) -> dict[str, float]:
        """Score the network, by its validation logits (n, C) if given; return the validation metrics."""
        logits = predict_logits(self.network, self.validation) if logits is None else logits
        predicted = logits.argmax(1).numpy()
        metrics = evaluate_groups(self.validation.y, predicted, self.validation.groups)
        record = {f"val_{name}": float(rule(metrics)) for name, rule in RULES.items() if name != "worst_group"}
        if self.validation.groups is not None:
            record["val_worst_group"] = float(metrics.worst_group_accuracy)
        score = record["val_average" if self.rule == LAST else f"val_{self.rule}"]
        if self.rule == LAST or score >= self.score:
            self.epoch, self.score = epoch, score
            self.state = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
        return record

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"epoch": self.epoch, "score": self.score, "state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state."""
        self.epoch, self.score, self.state = state["epoch"], state["score"], state["state"]

    def restore(self) -> dict[str, Any]:
        """Load the best state into the network; return the record of the selection."""
        with torch.no_grad():
            self.network.load_state_dict(self.state)
        return {"rule": self.rule, "epoch": self.epoch, "score": self.score, "data": self.source}
