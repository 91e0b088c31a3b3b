"""Formatting of numbers, tables and missing records."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from longway.metrics.group_metrics import summarise

METHODS = {
    "erm": "ERM",
    "sitar": "SITAR",
    "sitar-published": "SITAR, as published",
    "hsfm": "HSFM",
    "pseudo-groups": "Pseudo-groups",
}
"""Titles of methods by their names in the demonstration and the benchmarks."""


def not_measured(command: str, tables: str = "table that belongs") -> str:
    """Return the placeholder of a table whose record is missing."""
    return f"Not measured yet: `{command}` makes the {tables} here."


def percent(share: float) -> str:
    """Format a fraction for a sentence."""
    return f"{100 * share:.0f} %"


def std(mean: float, deviation: float | None) -> str:
    """Format a mean fraction and its standard deviation in percent; an unknown deviation is left out."""
    known = deviation is not None and not math.isnan(deviation)
    return f"{100 * mean:.1f}" + (f" ± {100 * deviation:.1f}" if known else "")


def over_seeds(shares: Iterable[float]) -> str:
    """Format the mean and standard deviation over seeds of a fraction in percent."""
    return std(*summarise(shares))


def points(difference: float) -> str:
    """Format a difference of fractions in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table: words left-aligned, numbers right-aligned."""
    numeric = [all(re.match(r"[\d*–−-]", row[k]) for row in rows) for k in range(len(columns))]
    rule = ["--:" if right else ":--" for right in numeric]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows))
