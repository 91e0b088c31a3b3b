"""Protocols: the visible group labels, the kind of validation data, and the selection rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from longway.training.selection import RULES
from longway.utils.errors import LongwayError, nearest

GROUPS = ("none", "infer", "val", "train")
"""Group labels that a method is given: none; none, but groups inferred on validation data; validation; or also
training.
"""

VALIDATION = ("as_train", "balanced")
"""Kinds of validation data: distributed like the training data, or group-balanced."""

OWN = "own"
"""Epoch selection by each method's own default rule, such as SITAR's on recoloured validation images."""

ORACLE = "oracle"
"""Selection of settings on the test data: an upper bound of a method, not its performance."""


@dataclass(frozen=True)
class Protocol:
    """The rules of training and selection, independent of the method.

    Parameters
    ----------
    groups : {"none", "infer", "val", "train"}, default "none"
        Which data come with group labels; a method takes those that it can use. ``infer`` selects by groups that are
        read off the shortcut axes of the training data (`longway.groups`): by reliance on the shortcut, not by accuracy
        alone, and without a label of it.
    selection : str, default "auto"
        The rule by which each fit chooses its epoch (`training.selection.RULES`); ``auto`` is ``worst_group`` where
        validation groups are known, else ``worst_class``; ``own`` leaves each method its own default, which its record
        names.
    settings : str, optional
        The rule that chooses among the settings that were tried, by default the same (``worst_class`` with ``own``);
        ``oracle`` chooses by the test data and is shown only as such.
    validation : {"as_train", "balanced"}, default "as_train"
        What the validation data are like.
    title : str, optional
        What it is called in tables.

    Raises
    ------
    LongwayError
        A field has an unknown value, or a rule needs groups that are not visible.

    Examples
    --------
    >>> Protocol(groups="val").selection, Protocol().selection, Protocol().title
    ('worst_group', 'worst_class', 'no group labels, worst class')
    """

    groups: str = "none"
    selection: str = "auto"
    settings: str = ""
    validation: str = "as_train"
    title: str = ""

    def __post_init__(self) -> None:
        for field, known in (("groups", GROUPS), ("validation", VALIDATION)):
            value = getattr(self, field)
            if value not in known:
                raise LongwayError(f"protocol {field}={value!r} is unknown; {nearest(str(value), known)}")
        rule = self.selection
        if rule == "auto":
            rule = "worst_class" if self.groups == "none" else "worst_group"
        self._check(rule, "selection", (*RULES, OWN))
        settings = self.settings or ("worst_class" if rule == OWN else rule)
        self._check(settings, "settings", (*RULES, ORACLE))
        object.__setattr__(self, "selection", rule)
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "title", self.title or self._describe())

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Protocol:
        """Read a protocol from a plan.

        Raises
        ------
        LongwayError
            It has a field that no protocol has.
        """
        known = [field.name for field in fields(cls)]
        for name in record:
            if name not in known:
                raise LongwayError(f"a protocol has no {name!r}; {nearest(name, known)}")
        return cls(**record)

    def to_dict(self) -> dict[str, str]:
        """Return all fields."""
        return asdict(self)

    def _check(self, rule: str, field: str, known: Any) -> None:
        if rule not in known:
            raise LongwayError(f"protocol {field}={rule!r} is unknown; {nearest(str(rule), ['auto', *known])}")
        if rule == "worst_group" and self.groups == "none":
            raise LongwayError(
                f"protocol {field}='worst_group' needs group labels of the validation data: set groups to 'val', "
                "'train' or 'infer', or choose a rule without groups such as 'worst_class'"
            )

    def _describe(self) -> str:
        known = {
            "none": "no group labels",
            "infer": "inferred validation groups",
            "val": "validation groups",
            "train": "training groups",
        }[self.groups]
        words = [known, "own rules" if self.selection == OWN else self.selection.replace("_", " ")]
        if self.validation == "balanced":
            words.append("balanced validation")
        if self.settings != ("worst_class" if self.selection == OWN else self.selection):
            words.append(f"settings by {self.settings.replace('_', ' ')}")
        return ", ".join(words)
