"""The record of a trial, and its score under the rule of a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from longway.bench.protocol import ORACLE, Protocol
from longway.metrics.group_metrics import GroupMetrics, GroupResult
from longway.training.selection import RULES


def failure(kind: str, message: str, trace: str = "") -> dict[str, Any]:
    """Return the part of a record that explains a missing result."""
    return {"status": "failed", "error": {"type": kind, "message": " ".join(message.split()), "traceback": trace}}


def counts_of(metrics: GroupMetrics) -> dict[str, Any]:
    """Return only the counts, from which `counted` restores the metrics."""
    return {
        kind: None if results is None else {result.name: [result.correct, result.n] for result in results}
        for kind, results in (("classes", metrics.classes), ("groups", metrics.groups))
    }


def metrics_of(counts: Mapping[str, Any], train_counts: Mapping[str, int] | None = None) -> GroupMetrics:
    """Return the metrics of stored counts."""
    made: dict[str, Any] = {}
    for kind in ("classes", "groups"):
        known = counts[kind]
        made[kind] = (
            None
            if known is None
            else tuple(
                GroupResult(name, n, correct, train_counts.get(name, 0) if train_counts and kind == "groups" else None)
                for name, (correct, n) in known.items()
            )
        )
    return GroupMetrics(**made)


def score(record: Mapping[str, Any], protocol: Protocol) -> float | None:
    """Return a trial's validation score under a protocol's rule; None if the fit failed."""
    if record["status"] != "done":
        return None
    return float(RULES[protocol.settings](metrics_of(record["validation"])))


def choose(protocol: Protocol, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the keys of the trials to test: the first with the best validation score; under the oracle, all."""
    done = [key for key, record in records.items() if record["status"] == "done"]
    if protocol.settings == ORACLE or not done:
        return done
    scores = [score(records[key], protocol) or 0.0 for key in done]
    return [done[int(np.argmax(scores))]]
