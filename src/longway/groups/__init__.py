"""Group inference without group labels, one file per strategy, with caveats on how far to trust it."""

from longway.groups._base import InferredGroups
from longway.groups.axes import AxisGroups, shortcut_axes
from longway.groups.clusters import ClusterGroups, feature_clusters
from longway.groups.consistent_errors import ConsistentErrors, consistent_errors
from longway.groups.disagreement import DisagreementGroups, head_disagreement
from longway.groups.errors import ErrorGroups, weak_errors
from longway.groups.evidence import ShortcutEvidence, find_shortcut_evidence
from longway.groups.infer import STRATEGIES, check_strategy_options, find_groups, infer_groups
from longway.groups.probe import Leakage, leakage
from longway.groups.propagation import propagate_groups
from longway.groups.purity import Purity, confident_samples, group_purity, judge_groups
from longway.groups.recolouring import Recolouring, recolouring

__all__ = [
    "STRATEGIES",
    "AxisGroups",
    "ClusterGroups",
    "ConsistentErrors",
    "DisagreementGroups",
    "ErrorGroups",
    "InferredGroups",
    "Leakage",
    "Purity",
    "Recolouring",
    "ShortcutEvidence",
    "check_strategy_options",
    "confident_samples",
    "consistent_errors",
    "feature_clusters",
    "find_groups",
    "find_shortcut_evidence",
    "group_purity",
    "head_disagreement",
    "infer_groups",
    "judge_groups",
    "leakage",
    "propagate_groups",
    "recolouring",
    "shortcut_axes",
    "weak_errors",
]
