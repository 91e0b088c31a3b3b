"""Signals under investigation, and what leads that belong together share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longway.auditing.findings import Association, MitigationTrial, SignalEffect
from longway.auditing.signals import Signal, SignalSplit, center_by_class
from longway.auditing.verdict import combined_suspicion, suspicion, z_score

NEARLY_SAME = 0.8
"""Absolute correlation within classes from which two signals are treated as the same."""


@dataclass
class Lead:
    """A signal under investigation."""

    signal: Signal
    association: Association
    split: SignalSplit
    evidence: float
    gap: float
    effect: SignalEffect | None = None
    trial: MitigationTrial | None = None
    second_z: float | None = None
    examined: bool = False

    @property
    def suspicion(self) -> float:
        """Suspicion from all evidence so far."""
        return self._combined(self.second_z)

    @property
    def potential(self) -> float:
        """Suspicion if the trial were to find a second signal."""
        return self._combined(np.inf)

    def _combined(self, second_z: float | None) -> float:
        data = suspicion(self.association, self.evidence, second_z, self.gap)
        return combined_suspicion(data, self.effect, self.signal.source)


def share_evidence(leads: Sequence[Lead]) -> None:
    """Cap the evidence of each class's direction at the mean of all: a shortcut involves several classes."""
    directions = [lead for lead in leads if lead.signal.fitted_to_labels]
    if len(directions) < 2:
        return
    mean = float(np.mean([lead.evidence for lead in directions]))
    for lead in directions:
        lead.evidence = min(lead.evidence, mean)


def share_second_signals(leads: Sequence[Lead], codes: np.ndarray) -> None:
    """Set each lead's second signal to the weakest one among leads that are nearly the same.

    What one of them captures and another misses is not a second signal.
    """
    inner = np.stack([center_by_class(lead.signal.values, codes) for lead in leads])
    inner /= np.maximum(np.linalg.norm(inner, axis=1, keepdims=True), 1e-300)
    same = np.abs(inner @ inner.T) > NEARLY_SAME
    found = [None if lead.trial is None else z_score(lead.trial.second_signal) for lead in leads]
    for lead, own, near in zip(leads, found, same, strict=True):
        if own is not None:
            lead.second_z = min(
                [own, *(z for z, is_near in zip(found, near, strict=True) if is_near and z is not None)]
            )
