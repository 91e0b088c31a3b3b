"""Methods, one file each; every one is imported when it is first asked for."""

from importlib import import_module
from typing import Any

from longway.methods._index import method_modules

__all__ = ["METHODS", "Method", *method_modules()]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    modules = {**method_modules(), "METHODS": "longway.methods._registry", "Method": "longway.methods._base"}
    if name in modules:
        return getattr(import_module(modules[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
