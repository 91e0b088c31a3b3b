"""Errors that a user can cause, each one clear line that names the remedy."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable


class LongwayError(ValueError):
    """User input that cannot be used; the message names it and the remedy."""


class NoGroupsError(LongwayError):
    """A strategy of group inference finds no groups in these data."""


class CorruptFileError(LongwayError):
    """A file or folder that is damaged, truncated or of another kind."""


class LongwayWarning(UserWarning):
    """A decision about the input that the user should know of; the message names the remedy."""


def printable(text: object) -> str:
    r"""Return text that cannot steer a terminal: control and direction characters are written as escapes.

    Line ends and tabs stay.

    Examples
    --------
    >>> printable("\x1b[2Jcow")
    '\\x1b[2Jcow'
    """
    return "".join(
        char if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp") else ascii(char)[1:-1]
        for char in str(text)
    )


def one_line(text: object) -> str:
    """Return text on one line that cannot steer a terminal."""
    return " ".join(printable(text).split())


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
