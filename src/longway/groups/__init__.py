"""Groups without group labels, and how far to trust them: one file a way."""

from longway.groups._base import InferredGroups
from longway.groups.axes import AxisGroups, shortcut_axes
from longway.groups.clusters import ClusterGroups, feature_clusters
from longway.groups.consistent_errors import RepeatedErrors, repeated_errors
from longway.groups.disagreement import DisagreementGroups, head_disagreement
from longway.groups.errors import ErrorGroups, weak_errors
from longway.groups.evidence import Contradiction, contradiction
from longway.groups.infer import WAYS, find_groups, infer_groups
from longway.groups.probe import Leakage, leakage
from longway.groups.propagation import spread_groups
from longway.groups.purity import Purity, group_purity, judge_groups, sure_rows
from longway.groups.recolouring import Recolouring, recolouring

__all__ = [
    "WAYS",
    "AxisGroups",
    "ClusterGroups",
    "Contradiction",
    "DisagreementGroups",
    "ErrorGroups",
    "InferredGroups",
    "Leakage",
    "Purity",
    "Recolouring",
    "RepeatedErrors",
    "contradiction",
    "feature_clusters",
    "find_groups",
    "group_purity",
    "head_disagreement",
    "infer_groups",
    "judge_groups",
    "leakage",
    "recolouring",
    "repeated_errors",
    "shortcut_axes",
    "spread_groups",
    "sure_rows",
    "weak_errors",
]
