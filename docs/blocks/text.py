"""How numbers, tables and gaps are written."""

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
"""Methods as the demonstration and the benchmarks call them, and as a reader does."""


def not_measured(command: str, tables: str = "table that belongs") -> str:
    """Write what stands in the place of a table whose record has not been made."""
    return f"Not measured yet: `{command}` makes the {tables} here."


def percent(share: float) -> str:
    """Write a share as it stands in a sentence."""
    return f"{100 * share:.0f} %"


def std(mean: float, deviation: float | None) -> str:
    """Write a mean share and its standard deviation in percent; a deviation that is not known is left out."""
    known = deviation is not None and not math.isnan(deviation)
    return f"{100 * mean:.1f}" + (f" ± {100 * deviation:.1f}" if known else "")


def over_seeds(shares: Iterable[float]) -> str:
    """Write the mean of one share a seed and their standard deviation in percent."""
    return std(*summarise(shares))


def points(difference: float) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table: words to the left, numbers to the right."""
    numeric = [all(re.match(r"[\d*–−-]", row[k]) for row in rows) for k in range(len(columns))]
    rule = ["--:" if right else ":--" for right in numeric]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows))
