"""Words that a spreadsheet must not run."""

from __future__ import annotations

_FIRST = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> object:
    """Return a value for a CSV file; a string that a spreadsheet would take for a formula gets an apostrophe in front.

    Examples
    --------
    >>> cell("=1+1"), cell("cow"), cell(-3)
    ("'=1+1", 'cow', -3)
    """
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FIRST) else value


def plain(word: str) -> str:
    """Undo `cell`.

    Examples
    --------
    >>> plain("'=1+1"), plain("'tis")
    ('=1+1', "'tis")
    """
    return word[1:] if word.startswith("'") and cell(word[1:]) == word else word
