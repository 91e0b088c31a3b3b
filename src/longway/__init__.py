"""Longway trains and audits classifiers that do not take shortcuts.

Names are imported when they are first used, so that importing Longway costs nothing. ``__init__.pyi`` tells type
checkers the same names; ``hatch_build.py`` writes it from the table below and the registry of methods.
"""

from importlib import import_module
from typing import Any

from longway._version import __version__ as __version__
from longway.methods._index import method_modules

_MODULES = {
    "longway.auditing": ("Audit", "audit"),
    "longway.backbones.embed": ("embed",),
    "longway.data": ("GroupedDataset", "read"),
    "longway.explaining": ("Explanation", "explain"),
    "longway.exporting": ("Exported", "export", "load_exported"),
    "longway.groups": ("AxisGroups", "InferredGroups", "infer_groups"),
    "longway.methods": ("METHODS", "Method", *method_modules()),
    "longway.methods._persistence": ("describe", "load", "save"),
    "longway.metrics.group_metrics": ("GroupMetrics", "evaluate_groups"),
    "longway.training.options": ("TrainingOptions", "training_options"),
    "longway.utils.errors": ("CorruptFileError", "LongwayError"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'longway' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
