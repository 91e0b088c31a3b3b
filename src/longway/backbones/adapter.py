"""The interface of adapters: the request that they get and the encoder that they return."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from longway.utils.errors import LongwayError


@dataclass(frozen=True)
class Wish:
    """The user's request, for adapters that build an encoder accordingly.

    Parameters
    ----------
    layer, pooling, precision : str, optional
        As in `load_backbone`.
    device : torch.device
    """

    layer: str | None = None
    pooling: str | None = None
    precision: str = "float32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class Loaded:
    """The encoder that an adapter returns.

    Parameters
    ----------
    name : str
        For messages and caches; without the folders that lead to a file, which are nobody else's business.
    module : object
        As in `Backbone`.
    code : str, default ""
        Hash of its file of code.
    defaults : dict
        Its own ``size``, ``mean``, ``std``, ``crop`` and ``interpolation``, where it has any.
    layered : bool, default False
        Whether it gives the wished layer by itself.
    """

    name: str
    module: Any
    code: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    layered: bool = False


def needed(package: str, install: str, user: str) -> ModuleType:
    """Import an optional package.

    Parameters
    ----------
    package : str
        What is imported.
    install : str
        What pip is to install for it.
    user : str
        What it is needed for.

    Raises
    ------
    LongwayError
        It is not installed, or its parts do not fit each other; the message names what to install.
    """
    try:
        return import_module(package)
    except (ImportError, RuntimeError, AttributeError) as error:  # the last two: torchvision beside another torch
        reason = "" if isinstance(error, ModuleNotFoundError) and error.name == package else f" ({one_line(error)})"
        raise LongwayError(f"{user} needs {package}{reason}: pip install {install}") from error


def one_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type if there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def local(spec: str) -> str:
    """Return a path with environment variables expanded, or a name unchanged."""
    path = Path(os.path.expandvars(spec)).expanduser()
    return str(path) if path.exists() else spec


def public_name(kind: str, spec: str) -> str:
    """Name an encoder: the last part of a path, or its name on the hub."""
    path = Path(spec)
    return f"{kind}:{path.resolve().name if path.exists() else spec}"
