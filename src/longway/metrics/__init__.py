"""Accuracy by group and by class, with confidence intervals."""

from longway.metrics.group_metrics import (
    GroupMetrics,
    GroupResult,
    Summary,
    evaluate_groups,
    summarise,
    wilson_interval,
)

__all__ = ["GroupMetrics", "GroupResult", "Summary", "evaluate_groups", "summarise", "wilson_interval"]
