"""Formatting of estimates and of untrusted texts in reports."""

from __future__ import annotations

import math

from longway.utils.records import Estimate

NAME = 80
"""Displayed characters of a label or a name."""
NONE = "–"


def clip(text: object, most: int = NAME) -> str:
    r"""Return a text on one line, truncated to a length.

    Examples
    --------
    >>> clip("one  two\nthree", 9)
    'one two …'
    """
    line = " ".join(str(text)[: 8 * most].split())
    return line if len(line) <= most else line[: most - 1] + "…"


def interval(estimate: Estimate, form: str = ".1%") -> str:
    """Format an interval without line breaks.

    Examples
    --------
    >>> interval(Estimate(0.5, 0.4, 0.6)).split(), interval(Estimate(0.5, float("nan"), 0.6))
    (['40.0%', 'to', '60.0%'], '–')
    """
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return NONE
    words = f"{estimate.low:{form}} to {estimate.high:{form}}".replace("-", "−")
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def percent(share: float | None) -> str:
    """Format a fraction as a percentage.

    Examples
    --------
    >>> percent(0.123), percent(None)
    ('12.3%', '–')
    """
    return NONE if share is None or math.isnan(share) else f"{share:.1%}"


def points(gain: float | None) -> str:
    """Format a difference of fractions in percentage points.

    Examples
    --------
    >>> points(0.021), points(-0.3)
    ('+2.1', '−30.0')
    """
    return NONE if gain is None or math.isnan(gain) else f"{100 * gain:+.1f}".replace("-", "−")


def three(estimate: Estimate) -> tuple[float, float, float]:
    """Return a value with its interval."""
    return estimate.value, estimate.low, estimate.high
