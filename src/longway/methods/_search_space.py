"""Ranges that hyper-parameters are searched in, declared on the class of the method that has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from longway.utils.errors import LongwayError


@dataclass(frozen=True)
class Between:
    """A number between two bounds.

    Parameters
    ----------
    low, high : float
        Bounds, both included.
    log : bool, default False
        Draw the logarithm evenly.
    whole : bool, default False
        Draw whole numbers.

    Examples
    --------
    >>> Between(1e-4, 1.0, log=True).at(0.5)
    0.01
    >>> Between(1, 3, whole=True).at(0.99)
    3
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not (self.low <= self.high and (self.low > 0 or not self.log)):
            raise LongwayError(
                f"a range from {self.low} to {self.high}{' by logarithm' * self.log} cannot be drawn from"
            )

    def at(self, place: float) -> float | int:
        """Return the value at a place in [0, 1)."""
        if self.whole:
            count = math.floor(self.high) - math.ceil(self.low) + 1
            if not self.log:
                return math.ceil(self.low) + min(count - 1, int(place * count))
            return round(self.low * (self.high / self.low) ** place)
        value = self.low * (self.high / self.low) ** place if self.log else self.low + (self.high - self.low) * place
        return float(f"{value:.6g}")  # six digits are read and typed again without loss


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


Space = Mapping[str, Between | Categorical]
"""Ranges by parameter."""


def draw(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """Draw one setting; parameters are drawn in the order of their names, so that a space's own order is no matter.

    Examples
    --------
    >>> sorted(draw({"l2": Between(1e-4, 1, log=True), "epochs": Categorical((10, 20))}, np.random.default_rng(0)))
    ['epochs', 'l2']
    """
    return {name: space[name].at(float(generator.random())) for name in sorted(space)}


def read_range(value: Any, name: str) -> Between | Categorical:
    """Read a range as a plan file has it: ``[a, b, c]`` are options; a table has ``low`` and ``high``.

    Raises
    ------
    LongwayError
        The value is neither.

    Examples
    --------
    >>> read_range({"low": 1e-3, "high": 1, "log": True}, "l2")
    Between(low=0.001, high=1, log=True, whole=False)
    """
    if isinstance(value, list) and value:
        return Categorical(tuple(value))
    if isinstance(value, Mapping) and {"low", "high"} <= value.keys() <= {"low", "high", "log", "whole"}:
        return Between(**value)
    raise LongwayError(
        f"the range of {name} is {value!r}: give a list of options, or a table such as {{low = 0.001, high = 1, "
        "log = true}"
    )
