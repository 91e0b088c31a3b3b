"""Longway trains and audits classifiers that do not take shortcuts."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from longway._version import __version__ as __version__

if TYPE_CHECKING:
    from longway.auditing import Audit, audit
    from longway.data import GroupedDataset, read
    from longway.explaining import Explanation, explain
    from longway.exporting import Exported, export, load_exported
    from longway.groups import AxisGroups, InferredGroups, infer_groups
    from longway.methods import (
        AFR,
        CCR,
        DFR,
        ERM,
        GCCS,
        HSFM,
        IRM,
        JTT,
        LLR,
        LORT,
        METHODS,
        RWG,
        RWY,
        SITAR,
        SUBG,
        SUBY,
        ChromaVAE,
        DiffusionClassifier,
        FreezeThenTrain,
        GenerativeClassifier,
        GroupDRO,
        LfF,
        RepSpectral,
        Selective,
        SemanticAnchor,
        SITARHead,
        VREx,
    )
    from longway.methods._base import Method
    from longway.methods._persistence import describe, load, save
    from longway.metrics.group_metrics import GroupMetrics, evaluate_groups
    from longway.training.options import TrainingOptions, training_options
    from longway.utils.errors import CorruptFileError, LongwayError

__all__ = [
    "AFR",
    "CCR",
    "DFR",
    "ERM",
    "GCCS",
    "HSFM",
    "IRM",
    "JTT",
    "LLR",
    "LORT",
    "METHODS",
    "RWG",
    "RWY",
    "SITAR",
    "SUBG",
    "SUBY",
    "Audit",
    "AxisGroups",
    "ChromaVAE",
    "CorruptFileError",
    "DiffusionClassifier",
    "Explanation",
    "Exported",
    "FreezeThenTrain",
    "GenerativeClassifier",
    "GroupDRO",
    "GroupMetrics",
    "GroupedDataset",
    "InferredGroups",
    "LfF",
    "LongwayError",
    "Method",
    "RepSpectral",
    "SITARHead",
    "Selective",
    "SemanticAnchor",
    "TrainingOptions",
    "VREx",
    "audit",
    "describe",
    "evaluate_groups",
    "explain",
    "export",
    "infer_groups",
    "load",
    "load_exported",
    "read",
    "save",
    "training_options",
]

_HOMES = {
    "longway.methods._persistence": ("describe", "load", "save"),
    "longway.auditing": ("Audit", "audit"),
    "longway.methods._base": ("Method",),
    "longway.data": ("GroupedDataset", "read"),
    "longway.utils.errors": ("CorruptFileError", "LongwayError"),
    "longway.explaining": ("Explanation", "explain"),
    "longway.exporting": ("Exported", "export", "load_exported"),
    "longway.groups": ("AxisGroups", "InferredGroups", "infer_groups"),
    "longway.methods": (
        "AFR",
        "DFR",
        "LLR",
        "LORT",
        "ChromaVAE",
        "FreezeThenTrain",
        "GCCS",
        "DiffusionClassifier",
        "GenerativeClassifier",
        "RepSpectral",
        "SemanticAnchor",
        "IRM",
        "VREx",
        "Selective",
        "CCR",
        "ERM",
        "GroupDRO",
        "HSFM",
        "JTT",
        "LfF",
        "METHODS",
        "RWG",
        "RWY",
        "SITAR",
        "SITARHead",
        "SUBG",
        "SUBY",
    ),
    "longway.metrics.group_metrics": ("GroupMetrics", "evaluate_groups"),
    "longway.training.options": ("TrainingOptions", "training_options"),
}


def __getattr__(name: str) -> Any:
    """Import a public name where it is first used: torch takes seconds, and `longway --help` should not."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'longway' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
