"""A plan with changed options and parameters, such as fewer epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from longway.bench.prepared import benchmark_class
from longway.methods import METHODS
from longway.utils.errors import LongwayError, nearest

FEATURES = "erm_features"
"""The key of a plan's benchmark that is not one of its options."""


def overridden(
    record: Mapping[str, Any], options: Mapping[str, Any] | None = None, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the record of a plan with some values set wherever a benchmark or method takes them.

    Parameters
    ----------
    record : mapping
        As `longway.bench.read_plan` reads it.
    options : mapping, optional
        Of its benchmarks.
    parameters : mapping, optional
        Of its methods; they go before those of a published setting.

    Raises
    ------
    LongwayError
        No benchmark has such an option, or no method such a parameter.

    Examples
    --------
    >>> overridden({"benchmark": ["planted"], "method": ["erm", "dfr"]}, {"n": 300}, {"epochs": 5})
    {'benchmark': [{'name': 'planted', 'n': 300}], 'method': [{'name': 'erm', 'epochs': 5}, {'name': 'dfr'}]}
    """
    benchmarks, methods = _tables(record, "benchmark"), _tables(record, "method")
    changed = dict(record)
    if options:
        known = [[*(field.name for field in fields(_benchmark(each))), FEATURES] for each in benchmarks]
        changed["benchmark"] = _set(benchmarks, known, options, "no benchmark here has an option")
    if parameters:
        known = [_parameters(each) for each in methods]
        changed["method"] = _set(methods, known, parameters, "no method here has a parameter")
    return changed


def _tables(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    values = record.get(name, [])
    values = [values] if isinstance(values, str | Mapping) else values
    return [{"name": value} if isinstance(value, str) else dict(value) for value in values]


def _benchmark(table: Mapping[str, Any]) -> Any:
    return benchmark_class(table.get("name", "data"))


def _parameters(table: Mapping[str, Any]) -> list[str]:
    name = str(table.get("name")).lower()
    return METHODS[name]._get_param_names() if name in METHODS else []  # an unknown one is named when the plan is read


def _set(
    tables: list[dict[str, Any]], known: list[list[str]], values: Mapping[str, Any], none: str
) -> list[dict[str, Any]]:
    every = dict.fromkeys(name for names in known for name in names)
    _check(values, every, none)
    return [
        {**table, **{name: value for name, value in values.items() if name in names}}
        for table, names in zip(tables, known, strict=True)
    ]


def _check(names: Iterable[str], known: Iterable[str], none: str) -> None:
    for name in names:
        if name not in known:
            raise LongwayError(f"{none} {name!r}; {nearest(name, known)}")
