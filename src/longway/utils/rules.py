"""Rules for single values, such as the parameters of a method: a test, and the words an error message needs."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, Protocol, get_type_hints

import numpy as np

from longway.utils.errors import LongwayError, nearest


class Rule(Protocol):
    """A set of accepted values."""

    @property
    def words(self) -> str:
        """A description of the accepted values, which completes "x must be ..."."""

    def accepts(self, value: Any) -> bool:
        """Return whether the value is accepted."""


@dataclass(frozen=True)
class Whole:
    """A whole number with a lower bound.

    Examples
    --------
    >>> Whole(2).accepts(2), Whole(2).accepts(1), Whole(2).accepts(True), Whole(2).words
    (True, False, False, 'a whole number, 2 or more')
    """

    low: int = 1

    @property
    def words(self) -> str:
        return f"a whole number, {self.low} or more"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= self.low


@dataclass(frozen=True)
class Number:
    """A finite number within bounds, which may be excluded themselves.

    Examples
    --------
    >>> Number(0, 1, above=True).words, Number(0, 1, above=True).accepts(0)
    ('a number above 0, at most 1', False)
    """

    low: float = 0
    high: float | None = None
    above: bool = False
    below: bool = False

    @property
    def words(self) -> str:
        if self.high is None:
            return f"a number above {self.low:g}" if self.above else f"a number, {self.low:g} or more"
        if self.above == self.below:
            return f"a number {'between' if self.above else 'from'} {self.low:g} {'and' if self.above else 'to'} " + (
                f"{self.high:g}"
            )
        return f"a number {'above' if self.above else 'from'} {self.low:g}, {'below' if self.below else 'at most'} " + (
            f"{self.high:g}"
        )

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, Real) or isinstance(value, bool):
            return False
        if not value <= sys.float_info.max or value < -sys.float_info.max:  # NaN, infinity, huge integers
            return False
        if value < self.low or (self.above and value == self.low):
            return False
        return self.high is None or value < self.high or (value == self.high and not self.below)


@dataclass(frozen=True)
class ListOf:
    """A list whose items follow a rule.

    Examples
    --------
    >>> ListOf(Whole()).words, ListOf(Whole(), empty=True).accepts(())
    ('a list of whole numbers, each 1 or more', True)
    """

    item: Whole | Number
    empty: bool = False

    @property
    def words(self) -> str:
        kind, bounds = self.item.words.removeprefix("a ").split("number", 1)
        return f"a list of {kind}numbers, each {bounds.strip(', ')}"

    def accepts(self, value: Any) -> bool:
        listed = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
        return listed and (self.empty or len(value) > 0) and all(self.item.accepts(each) for each in value)


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    @property
    def words(self) -> str:
        return "one of " + ", ".join(map(repr, self.options))

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.options


@dataclass(frozen=True)
class Other:
    """Values that a function recognises."""

    test: Callable[[Any], bool]
    words: str

    def accepts(self, value: Any) -> bool:
        return self.test(value)


@dataclass(frozen=True)
class OrNone:
    """A value that follows a rule, or None."""

    rule: Rule

    @property
    def words(self) -> str:
        return f"{self.rule.words}{',' if ',' in self.rule.words else ''} or None"

    def accepts(self, value: Any) -> bool:
        return value is None or self.rule.accepts(value)


def _is_interval(value: Any) -> bool:
    pair = isinstance(value, Sequence | np.ndarray) and len(value) == 2
    return pair and all(map(Number(-math.inf).accepts, value)) and value[0] < value[1]


COUNT = Whole(1)
POSITIVE = Number(0, above=True)
NON_NEGATIVE = Number(0)
PROPORTION = Number(0, 1)
BOOLEAN = Other(lambda value: isinstance(value, bool | np.bool_), "True or False")
FRACTION = Number(0, 1, above=True, below=True)
BELOW_ONE = Number(0, 1, below=True)
UP_TO_ONE = Number(0, 1, above=True)
WIDTHS = ListOf(COUNT, empty=True)
TEXT = Other(lambda value: isinstance(value, str), "a string")
MAPPING = Other(lambda value: isinstance(value, Mapping), "a mapping")
INTERVAL = Other(_is_interval, "a pair of numbers, the lower one first, such as (-4, 1)")
HEAD = Other(lambda value: isinstance(value, tuple | list) and len(value) == 2, "a pair (weight, bias)")
SEED = Other(
    lambda value: (
        value is None or isinstance(value, np.random.RandomState) or (Whole(0).accepts(value) and value < 2**32)
    ),
    "a whole number from 0 to 2**32 - 1, a RandomState or None",
)


def check_value(name: str, value: Any, rule: Rule) -> None:
    """Raise LongwayError, naming the value, unless the rule accepts it."""
    if rule.accepts(value):
        return
    if isinstance(rule, Choice):
        raise LongwayError(f"{name}={value!r} is unknown; {nearest(str(value), rule.options)}")
    raise LongwayError(f"{name}={value!r} must be {rule.words}")


@cache
def argument_rules(function: Callable[..., Any]) -> Mapping[str, Rule | None]:
    """Return the optional keyword-only arguments of a function, each with the rule in its ``Annotated`` type, if any.

    Examples
    --------
    >>> from typing import Annotated
    >>> def fold(rows, *, folds: Annotated[int, Whole(2)] = 5, seed: int = 0): ...
    >>> argument_rules(fold)
    {'folds': Whole(low=2), 'seed': None}
    """
    hints = get_type_hints(function, include_extras=True)
    arguments = inspect.signature(function).parameters.values()
    names = [each.name for each in arguments if each.kind is each.KEYWORD_ONLY and each.default is not each.empty]
    return {name: next(iter(getattr(hints.get(name), "__metadata__", ())), None) for name in names}
