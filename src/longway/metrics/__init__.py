"""Metrics of groups, with intervals."""

from longway.metrics.group_metrics import GroupMetrics, GroupResult, evaluate_groups, summarise, wilson_interval

__all__ = ["GroupMetrics", "GroupResult", "evaluate_groups", "summarise", "wilson_interval"]
