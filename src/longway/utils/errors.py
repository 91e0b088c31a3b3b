"""Errors that a user can cause, each one clear line that names the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LongwayError(ValueError):
    """User input that cannot be used; the message names it and the remedy."""


class NoGroupsError(LongwayError):
    """A strategy of group inference finds no groups in these data."""


class CorruptFileError(LongwayError):
    """A file or folder that is damaged, truncated or of another kind."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the known spelling nearest to ``name``.

    Examples
    --------
    >>> nearest("stiar", ["erm", "sitar", "hsfm"])
    "did you mean 'sitar'? Known: erm, sitar, hsfm"
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(known)}"
