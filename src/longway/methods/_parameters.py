"""Declarations of the parameters of methods: the default, the rule and the search range stand on the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from inspect import get_annotations
from typing import Any, NamedTuple, TypeVar, dataclass_transform

from longway.methods._search_space import SearchRange
from longway.utils.rules import Rule, check_value

_T = TypeVar("_T")


class Parameter(NamedTuple):
    """A parameter of a method."""

    default: Any
    rule: Rule | None
    search: SearchRange | None


def parameter(default: Any, rule: Rule, *, search: SearchRange | None = None) -> Any:
    """Declare a parameter of a method.

    Parameters
    ----------
    default : object
        Immutable.
    rule : Rule
        Accepted values, which ``fit`` checks.
    search : Real, Integer or Categorical, optional
        Range that a search draws from; the default need not lie in it. Without it, a search leaves the default.
    """
    return field(default=default, metadata={"rule": rule, "search": search})


@dataclass_transform(kw_only_default=True, eq_default=False)
def parameters(method: type[_T]) -> type[_T]:
    """Make a class's annotated attributes the parameters of its ``__init__``, after those of the classes it extends.

    All are keyword-only and stored verbatim, as scikit-learn asks of an estimator. An attribute that is annotated again
    with a plain value has a new default here; its rule and its search range are inherited. With several bases, the
    declaration nearest in the method resolution order holds.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from longway.utils.rules import COUNT, POSITIVE
    >>> @parameters
    ... class Ridge(BaseEstimator):
    ...     l2: float = parameter(1.0, POSITIVE)
    ...     epochs: int = parameter(20, COUNT)
    >>> @parameters
    ... class Slow(Ridge):
    ...     epochs: int = 200
    >>> Slow(l2=2.0).get_params(), parameters_of(Slow)["epochs"].rule
    ({'epochs': 200, 'l2': 2.0}, Whole(low=1))
    """
    # A dataclass takes all fields of its first base, even those that a later base declares again: put these right.
    own = dict(get_annotations(method))
    nearest = {}
    for cls in reversed(method.__mro__[1:]):
        for name, annotation in cls.__dict__.get("_declared", {}).items():
            nearest[name] = (annotation, cls.__dict__["__dataclass_fields__"][name])
    inherited = {name: found for name, found in nearest.items() if name not in own}
    for name, (_, known) in inherited.items():
        setattr(method, name, field(default=known.default, metadata=known.metadata))
    method.__annotations__ = {**{name: annotation for name, (annotation, _) in inherited.items()}, **own}
    method = dataclass(kw_only=True, eq=False, repr=False)(method)
    names = {each.name for each in fields(method)}  # type: ignore[arg-type]
    method._declared = {name: each for name, each in own.items() if name in names}  # type: ignore[attr-defined]
    return method


def parameters_of(method: type[Any]) -> dict[str, Parameter]:
    """Return the parameters of a method by name, each with the rule and search range declared nearest to the method."""
    found = {}
    for each in fields(method):
        declared: Mapping[str, Any] = {}
        for cls in method.__mro__:
            # A class holds the fields of its bases, too: only those that it declares count.
            own = vars(cls)["__dataclass_fields__"][each.name] if each.name in vars(cls).get("_declared", {}) else None
            if own is not None and "rule" in own.metadata:
                declared = own.metadata
                break
        default = None if each.default is MISSING else each.default
        found[each.name] = Parameter(default, declared.get("rule"), declared.get("search"))
    return found


def check_parameters(method: Any) -> None:
    """Raise LongwayError for the first parameter of a method whose value its rule does not accept."""
    for name, declared in parameters_of(type(method)).items():
        if declared.rule is not None:
            check_value(name, getattr(method, name), declared.rule)
