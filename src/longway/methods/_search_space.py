"""Ranges that hyper-parameters are searched in, declared on the fields of the methods."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from longway.utils.errors import LongwayError


@dataclass(frozen=True)
class _Bounds:
    """Bounds of a numeric range, both included; ``log`` draws evenly on a logarithmic scale."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (self.low <= self.high and (self.low > 0 or not self.log)):
            raise LongwayError(
                f"a range from {self.low} to {self.high}{' by logarithm' * self.log} cannot be drawn from"
            )

    def _between(self, place: float) -> float:
        if self.log:
            return self.low * (self.high / self.low) ** place
        return self.low + (self.high - self.low) * place


@dataclass(frozen=True)
class Real(_Bounds):
    """A number between two bounds.

    Examples
    --------
    >>> Real(1e-4, 1.0, log=True).at(0.5)
    0.01
    """

    def at(self, place: float) -> float:
        """Return the value at a place in [0, 1)."""
        return float(f"{self._between(place):.6g}")  # six digits survive being printed and typed again


@dataclass(frozen=True)
class Integer(_Bounds):
    """A whole number between two bounds.

    Examples
    --------
    >>> Integer(1, 3).at(0.99)
    3
    """

    def at(self, place: float) -> int:
        """Return the value at a place in [0, 1)."""
        if self.log:
            return round(self._between(place))
        count = math.floor(self.high) - math.ceil(self.low) + 1
        return math.ceil(self.low) + min(count - 1, int(place * count))


@dataclass(frozen=True)
class Categorical:
    """One of a few values.

    Examples
    --------
    >>> Categorical(("sum", "mean")).at(0.2)
    'sum'
    """

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise LongwayError("a choice needs options to choose from")

    def at(self, place: float) -> Any:
        """Return the option at a place in [0, 1)."""
        return self.options[min(len(self.options) - 1, int(place * len(self.options)))]


SearchRange = Real | Integer | Categorical
Space = Mapping[str, SearchRange]
"""Ranges by parameter."""


def draw(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """Draw one setting; parameters are drawn in alphabetical order, so that the order of the space does not matter.

    Examples
    --------
    >>> sorted(draw({"l2": Real(1e-4, 1, log=True), "epochs": Categorical((10, 20))}, np.random.default_rng(0)))
    ['epochs', 'l2']
    """
    return {name: space[name].at(float(generator.random())) for name in sorted(space)}


def read_range(value: Any, name: str) -> SearchRange:
    """Read a range as a plan file has it: ``[a, b, c]`` are options; a table has ``low`` and ``high``.

    Raises
    ------
    LongwayError
        The value is neither.

    Examples
    --------
    >>> read_range({"low": 1e-3, "high": 1, "log": True}, "l2")
    Real(low=0.001, high=1, log=True)
    """
    if isinstance(value, list) and value:
        return Categorical(tuple(value))
    if isinstance(value, Mapping) and {"low", "high"} <= value.keys() <= {"low", "high", "log", "whole"}:
        kind = Integer if value.get("whole") else Real
        return kind(**{name: bound for name, bound in value.items() if name != "whole"})
    raise LongwayError(
        f"the range of {name} is {value!r}: give a list of options, or a table such as {{low = 0.001, high = 1, "
        "log = true}"
    )
