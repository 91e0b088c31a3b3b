"""Schemas of what files say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Maybe:
    """A part that may be absent or null."""

    shape: Any


@dataclass(frozen=True)
class Each:
    """A mapping whose values all have one shape."""

    shape: Any


def misfit(value: Any, shape: Any) -> str:
    """Return the path of the first part of a value that does not have its shape; empty if all have.

    Parameters
    ----------
    value : object
        Parsed JSON.
    shape : object
        A type or tuple of types; a rule of `longway.utils.rules`; a mapping with the shape of each part, which may have
        more; a list with the shape of all items; `Maybe` or `Each`.

    Examples
    --------
    >>> misfit({"a": [1, "x"]}, {"a": [int]}), misfit({"a": []}, {"a": [int], "b": Maybe(str)})
    ('.a.1', '')
    """
    if isinstance(shape, Maybe):
        return "" if value is None else misfit(value, shape.shape)
    if isinstance(shape, dict | Each):
        if not isinstance(value, Mapping):
            return "."
        parts = shape if isinstance(shape, dict) else dict.fromkeys(value, shape.shape)
        found = ((str(name), misfit(value.get(name), part)) for name, part in parts.items())
    elif isinstance(shape, list):
        if not isinstance(value, list):
            return "."
        found = ((str(k), misfit(each, shape[0])) for k, each in enumerate(value))
    elif hasattr(shape, "accepts"):
        return "" if shape.accepts(value) else "."
    else:
        return "" if isinstance(value, shape) else "."
    return next((f".{name}{damage}".rstrip(".") for name, damage in found if damage), "")
