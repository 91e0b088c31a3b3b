"""Interface of the adapters, and helpers that they share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from longway.utils.errors import LongwayError


@dataclass(frozen=True)
class LoadRequest:
    """Options of `load_backbone` for adapters that depend on them."""

    layer: str | None = None
    pooling: str | None = None
    precision: str = "float32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class LoadedEncoder:
    """The encoder that an adapter returns.

    Parameters
    ----------
    name : str
        For messages and caches; a file without its folders, so that caches hold no private paths.
    module : object
        As in `Backbone`.
    code : str, default ""
        Hash of the file of code that defines it.
    defaults : dict
        Its own ``size``, ``mean``, ``std``, ``crop`` and ``interpolation``, as far as it has them.
    outputs_layer : bool, default False
        The module itself outputs the requested layer.
    """

    name: str
    module: Any
    code: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    outputs_layer: bool = False


def import_optional(package: str, install: str, user: str) -> ModuleType:
    """Import an optional package.

    Parameters
    ----------
    package : str
        Name to import.
    install : str
        Argument of ``pip install``, for the message.
    user : str
        The part of Longway that needs it, for the message.

    Raises
    ------
    LongwayError
        If it is not installed or does not work with the other packages installed.
    """
    try:
        return import_module(package)
    # A torchvision built for another torch raises a RuntimeError or an AttributeError.
    except (ImportError, RuntimeError, AttributeError) as error:
        reason = "" if isinstance(error, ModuleNotFoundError) and error.name == package else f" ({one_line(error)})"
        raise LongwayError(f"{user} needs {package}{reason}: pip install {install}") from error


@contextmanager
def load_errors(name: str, remedy: str = "give a folder or a name on the Hugging Face hub") -> Iterator[None]:
    """Turn any exception of the body, which loads backbone ``name``, into a LongwayError that names the remedy."""
    try:
        yield
    except Exception as error:
        raise LongwayError(f"backbone {name} cannot be loaded ({one_line(error)}): {remedy}") from error


def one_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type if it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def expand_path(text: str) -> Path:
    """Expand ``~`` and environment variables in a path."""
    return Path(os.path.expandvars(text)).expanduser()


def path_or_name(spec: str) -> str:
    """Return a path expanded if it exists; else the text is a name on the hub, returned unchanged."""
    path = expand_path(spec)
    return str(path) if path.exists() else spec


def public_name(kind: str, spec: str) -> str:
    """Name an encoder by the last part of its path, or by its name on the hub."""
    path = Path(spec)
    return f"{kind}:{path.resolve().name if path.exists() else spec}"
