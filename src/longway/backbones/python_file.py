"""Encoders from a user's Python file: ``path/to/file.py:function``."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from longway.backbones.adapter import LoadedEncoder, LoadRequest, expand_path, one_line
from longway.backbones.transform import TRANSFORM_OPTIONS
from longway.utils.errors import LongwayError, nearest
from longway.utils.storage import hash_file


def load(spec: str, request: LoadRequest) -> LoadedEncoder:
    """Run the file and call its function, which takes no arguments and returns a module, function or encoder."""
    path_text, colon, function = spec.rpartition(":")
    if not colon or not function.isidentifier():
        raise LongwayError(
            f"backbone {spec!r} must be given as path/to/file.py:function, path/to/file.onnx, or timm:, torchvision:, "
            "hf: or st: with a name"
        )
    path = expand_path(path_text)
    if not path.is_file():
        raise LongwayError(f"backbone file {path} does not exist: check the path in {spec!r}")
    code = hash_file(path)
    # A unique module name, so that two files of the same name do not clash. Compiled here rather than imported, so that
    # sys.path does not change and no bytecode is written next to the user's file.
    name = f"longway_backbone_{hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()}"
    file = ModuleType(name)
    file.__file__ = str(path.resolve())
    sys.modules[name] = file  # dataclasses, among others, look up their module
    with _errors_of(f"backbone file {path}"):
        exec(compile(path.read_bytes(), str(path), "exec"), vars(file))
    make = getattr(file, function, None)
    if not callable(make):
        functions = {name: value for name, value in vars(file).items() if inspect.isfunction(value)}
        own = [name for name, value in functions.items() if value.__module__ == file.__name__]
        hint = nearest(function, own) if own else "it defines none"
        raise LongwayError(f"backbone file {path} has no function {function!r}; {hint}")
    with _errors_of(f"{function}() of backbone file {path}"):
        module = make()
    return LoadedEncoder(f"{path.name}:{function}", module, code, own_transform(file) | own_transform(module))


def own_transform(owner: Any) -> dict[str, Any]:
    """Return the transform options that a file or module defines as attributes."""
    found = {name: getattr(owner, name, None) for name in TRANSFORM_OPTIONS}
    return {name: value for name, value in found.items() if value is not None and not callable(value)}


@contextmanager
def _errors_of(code: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise LongwayError(f"{code} raised {type(error).__name__}: {one_line(error)}; fix that file") from error
