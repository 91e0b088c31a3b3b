"""Longway trains and audits classifiers that do not take shortcuts."""

__version__ = "0.1.0"

from longway.artifacts import describe, load, save
from longway.base import Method
from longway.data import GroupedDataset, read
from longway.errors import CorruptFileError, LongwayError, MissingExtraError
from longway.groups import InferredGroups, infer_groups
from longway.methods import ERM, HSFM, METHODS, RWG, SITAR
from longway.metrics import GroupMetrics, evaluate_groups

__all__ = [
    "ERM",
    "HSFM",
    "METHODS",
    "RWG",
    "SITAR",
    "CorruptFileError",
    "GroupMetrics",
    "GroupedDataset",
    "InferredGroups",
    "LongwayError",
    "Method",
    "MissingExtraError",
    "describe",
    "evaluate_groups",
    "infer_groups",
    "load",
    "read",
    "save",
]
