"""The errors a user can cause, each one clear line that names what to change."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LongwayError(ValueError):
    """Something the user gave cannot be used; the message names it and the way out."""


class NoGroupsError(LongwayError):
    """A way of inferring groups finds none in these data."""


class CorruptFileError(LongwayError):
    """A file or cache is damaged, cut short or not what it claims to be."""


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
