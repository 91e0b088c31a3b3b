"""Groups without group labels, and how far to trust them: one file a way."""

from longway.groups.appearance import Recolouring, recolouring
from longway.groups.axes import AxisGroups, shortcut_axes
from longway.groups.clusters import ClusterGroups, feature_clusters
from longway.groups.contract import InferredGroups
from longway.groups.disagreement import DisagreementGroups, head_disagreement
from longway.groups.errors import ErrorGroups, weak_errors
from longway.groups.infer import WAYS, find_groups, infer_groups
from longway.groups.probe import Leakage, leakage
from longway.groups.spread import spread_groups

__all__ = [
    "WAYS",
    "AxisGroups",
    "ClusterGroups",
    "DisagreementGroups",
    "ErrorGroups",
    "InferredGroups",
    "Leakage",
    "Recolouring",
    "feature_clusters",
    "find_groups",
    "head_disagreement",
    "infer_groups",
    "leakage",
    "recolouring",
    "shortcut_axes",
    "spread_groups",
    "weak_errors",
]
