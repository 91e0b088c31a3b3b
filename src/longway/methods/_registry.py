"""The registry of methods: a decorator on each class, and all of them by their names on the command line."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar, dataclass_transform

from longway.methods._index import method_modules
from longway.methods._parameters import parameters

if TYPE_CHECKING:
    from longway.methods._base import Method

_M = TypeVar("_M", bound="Method")


class Registry(MutableMapping[str, "type[Method]"]):
    """Methods by their names in lower case; a method is imported when it is asked for."""

    def __init__(self) -> None:
        self._modules = {name.lower(): (module, name) for name, module in method_modules().items()}
        self._classes: dict[str, type[Method]] = {}

    def __getitem__(self, key: str) -> type[Method]:
        if key not in self._classes:
            module, name = self._modules[key]
            self._classes[key] = getattr(import_module(module), name)
        return self._classes[key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._modules, *self._classes)))

    def __len__(self) -> int:
        return len(self._modules.keys() | self._classes.keys())

    def __setitem__(self, key: str, method: type[Method]) -> None:
        self._classes[key] = method

    def __delitem__(self, key: str) -> None:
        self._classes.pop(key, None)
        self._modules.pop(key, None)


METHODS = Registry()
"""Every method by its name on the command line."""


@dataclass_transform(kw_only_default=True, eq_default=False)
def register(method: type[_M]) -> type[_M]:
    """Make a class's annotated attributes its parameters, and add it to ``METHODS``.

    A class in a module of ``longway.methods`` is also found without being imported (see ``_index``). One that a user
    registers is known from then on.
    """
    method = parameters(method)
    METHODS[method.__name__.lower()] = method
    return method
