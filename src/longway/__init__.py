"""Longway trains and audits classifiers that do not take shortcuts."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from longway.artifacts import describe, load, save
    from longway.auditing import Audit, audit
    from longway.base import Method
    from longway.data import GroupedDataset, read
    from longway.errors import CorruptFileError, LongwayError
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
    from longway.metrics import GroupMetrics, evaluate_groups
    from longway.options import TrainingOptions, training_options

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
    "longway.artifacts": ("describe", "load", "save"),
    "longway.auditing": ("Audit", "audit"),
    "longway.base": ("Method",),
    "longway.data": ("GroupedDataset", "read"),
    "longway.errors": ("CorruptFileError", "LongwayError"),
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
    "longway.metrics": ("GroupMetrics", "evaluate_groups"),
    "longway.options": ("TrainingOptions", "training_options"),
}


def __getattr__(name: str) -> Any:
    """Import a public name where it is first used: torch takes seconds, and `longway --help` should not."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'longway' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
