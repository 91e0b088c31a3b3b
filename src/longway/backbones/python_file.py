"""A user's own file: ``path/to/file.py:function``."""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from longway.backbones.adapter import Loaded, Wish
from longway.utils.errors import LongwayError, nearest
from longway.utils.storage import hash_file

OWN = ("size", "mean", "std", "crop", "interpolation")


def load(spec: str, wish: Wish) -> Loaded:
    """Run the file and call its function, which has no arguments and returns a module, function or encoder."""
    path_text, colon, function = spec.rpartition(":")
    if not colon or not function.isidentifier():
        raise LongwayError(
            f"backbone {spec!r} must be given as path/to/file.py:function, path/to/file.onnx, or timm:, torchvision:, "
            "hf: or st: with a name"
        )
    path = Path(os.path.expandvars(path_text)).expanduser()
    if not path.is_file():
        raise LongwayError(f"backbone file {path} does not exist: check the path in {spec!r}")
    code = hash_file(path)
    # A name of its own, so that two files called alike do not meet; compiled here, so that the import path stays as it
    # is and no bytecode is left beside the user's file
    name = f"longway_backbone_{hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()}"
    file = ModuleType(name)
    file.__file__ = str(path.resolve())
    sys.modules[name] = file  # dataclasses and the like look their module up
    _run(lambda: exec(compile(path.read_bytes(), str(path), "exec"), vars(file)), f"backbone file {path}")
    make = getattr(file, function, None)
    if not callable(make):
        functions = {name: value for name, value in vars(file).items() if inspect.isfunction(value)}
        known = [name for name, value in functions.items() if value.__module__ == file.__name__]
        hint = nearest(function, known) if known else "it defines none"
        raise LongwayError(f"backbone file {path} has no function {function!r}; {hint}")
    module = _run(make, f"{function}() of backbone file {path}")
    return Loaded(f"{path.name}:{function}", module, code, own_transform(file) | own_transform(module))


def own_transform(owner: Any) -> dict[str, Any]:
    """Return the transform options that a file or module has as attributes."""
    found = {name: getattr(owner, name, None) for name in OWN}
    return {name: value for name, value in found.items() if value is not None and not callable(value)}


def _run(function: Callable[[], Any], what: str) -> Any:
    try:
        return function()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise LongwayError(f"{what} raised {type(error).__name__}: {reason}; mend that file") from error
