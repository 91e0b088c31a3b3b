"""The contract of a benchmark: a card that describes it, and a builder that makes it from raw files."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.utils.errors import LongwayError, nearest

Parts = dict[str, GroupedDataset]
"""The parts of a benchmark: "train", "val", "test", and if present "val_balanced" and further tests by name."""


@dataclass(frozen=True)
class Card:
    """The description of a benchmark for people.

    Parameters
    ----------
    title : str
        Its name in the literature.
    core : str
        What tells the classes apart everywhere.
    shortcut : str
        What tells them apart in the training data only.
    licence : str
        Of the raw data.
    source : str
        Paper, and where the raw data come from.
    obtain : str
        What a user has to do to get it.
    metric : (str, str)
        The part and the figure that stand for it in a ranking, such as ("test", "worst_group").
    counts : mapping of str to mapping of str to int
        Published group sizes by part, for the default options; the builder's must be the same.
    files : mapping of str to str
        Raw files with their content hash (`longway.utils.storage.hash_file`); an empty hash where none is known.
    """

    title: str
    core: str
    shortcut: str
    licence: str
    source: str
    obtain: str = "Nothing to get: it is made where it is used."
    metric: tuple[str, str] = ("test", "worst_group")
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


class Benchmark(ABC):
    """A benchmark with its options, which are the fields of a frozen dataclass.

    A subclass says what it is on its ``card``, and makes its parts in ``build`` from nothing but its options, the raw
    files and the seed.
    """

    name: ClassVar[str]
    card: ClassVar[Card]
    version: ClassVar[int] = 1
    """Version of the builder; increase it when the data change."""
    later: ClassVar[tuple[str, ...]] = ()
    """Options added after records existed; they are left out of keys while they have their default."""
    in_place: ClassVar[bool] = False
    """True if the parts already lie on disk in their final form, so that a copy would gain nothing."""

    @abstractmethod
    def build(self, seed: int) -> Parts:
        """Build the parts; the same seed gives the same parts on any machine."""

    def raw_fingerprint(self) -> str:
        """Return a hash that changes with the raw data; empty if everything is generated from the seed."""
        return ""

    def options(self) -> dict[str, Any]:
        """Return the options by name, without newer ones that have their default."""
        own = fields(self)  # type: ignore[arg-type]
        values = {f.name: getattr(self, f.name) for f in own}
        return {f.name: values[f.name] for f in own if f.name not in self.later or values[f.name] != f.default}

    @classmethod
    def with_options(cls, options: Mapping[str, Any]) -> Benchmark:
        """Return the benchmark with these options.

        Raises
        ------
        LongwayError
            If it has no option of that name, or the option cannot have that value.
        """
        known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        for name in options:
            if name not in known:
                raise LongwayError(f"benchmark {cls.name} has no option {name!r}; {nearest(name, known)}")
        return cls(**options)

    def _refuse(self, option: str, wanted: str) -> LongwayError:
        return LongwayError(f"{option}={getattr(self, option)!r} of benchmark {self.name} must be {wanted}")

    def _check_choice(self, option: str, known: Iterable[object]) -> None:
        """Raise unless a value is one of these; suggest the nearest word."""
        value, known = getattr(self, option), list(known)
        if any(value is choice or (type(value) is type(choice) and value == choice) for choice in known):
            return
        words = [choice for choice in known if isinstance(choice, str)]
        hint = f"; {nearest(value, words)}" if isinstance(value, str) and len(words) == len(known) else ""
        raise self._refuse(option, f"one of {', '.join(map(repr, known))}" if not hint else f"a known one{hint}")

    def _check_number(self, option: str, low: float, high: float = math.inf, *, optional: bool = False) -> None:
        """Raise unless a value is a finite number from ``low`` to ``high``, both included."""
        value = getattr(self, option)
        if optional and value is None:
            return
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not (number and low <= value <= high and math.isfinite(value)):
            limits = f"a number, {low:g} or more" if math.isinf(high) else f"a number from {low:g} to {high:g}"
            raise self._refuse(option, limits + (", or None" if optional else ""))

    def _check_count(self, option: str, least: int = 1, *, optional: bool = False) -> None:
        """Raise unless a value is a whole number, ``least`` or more."""
        value = getattr(self, option)
        if optional and value is None:
            return
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
            raise self._refuse(option, f"a whole number, {least} or more" + (", or None" if optional else ""))

    def _check_text(self, option: str) -> None:
        """Raise unless a value is None or a string."""
        value = getattr(self, option)
        if value is not None and not (isinstance(value, str) and value):
            raise self._refuse(option, "a text, or None")


def check_counts(parts: Parts, card: Card) -> list[str]:
    """Compare group sizes with the published ones.

    Parameters
    ----------
    parts : dict of str to GroupedDataset
        What a benchmark with its default options built.
    card : Card
        Of that benchmark.

    Returns
    -------
    list of str
        One line for each group whose size differs, and for each part that is missing; empty where all agree.
    """
    lines = []
    for name, published in card.counts.items():
        if name not in parts:
            lines.append(f"{name}: missing")
            continue
        groups = parts[name].groups
        names, sizes = np.unique([] if groups is None else groups, return_counts=True)
        found = dict(zip(names.tolist(), sizes.tolist(), strict=True))
        lines += [
            f"{name}, {group}: {found.get(group, 0)} instead of {published.get(group, 0)}"
            for group in {**published, **found}
            if found.get(group, 0) != published.get(group, 0)
        ]
    return lines
