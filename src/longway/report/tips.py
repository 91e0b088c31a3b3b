"""Tooltips of the marks of a plot.

A tip travels inside the mark's own id, which is all that matplotlib carries into an SVG; `longway.report.svg` turns it
into an attribute that the page's script reads.
"""

from __future__ import annotations

import base64
import re
from typing import TypeVar

from markupsafe import escape
from matplotlib.artist import Artist

A = TypeVar("A", bound=Artist)

LONGEST = 400
"""Characters of a tip."""

_SIGN = "tip."
_MARKED = re.compile(r'\bid="tip\.([^"]*)"')


def tip(artist: A, text: str) -> A:
    """Give a mark a tooltip; marks with the same text act as one.

    Parameters
    ----------
    artist : matplotlib.artist.Artist
        A line or a patch.
    text : str
        Lines are kept apart. Untrusted text is welcome.

    Returns
    -------
    Artist
        The mark itself.

    Examples
    --------
    >>> from matplotlib.lines import Line2D
    >>> told = tip(Line2D([0], [0]), "half < all")
    >>> tips_to_attributes(f'<g id="{told.get_gid()}">')
    '<g data-tip="half &lt; all">'
    """
    clean = text.encode("utf-8", errors="replace")[: 4 * LONGEST].decode("utf-8", errors="ignore")[:LONGEST]
    artist.set_gid(_SIGN + base64.urlsafe_b64encode(clean.encode("utf-8")).decode("ascii"))
    return artist


def tips_to_attributes(drawing: str) -> str:
    """Turn the ids of `tip` into escaped ``data-tip`` attributes."""
    return _MARKED.sub(lambda match: f'data-tip="{_read(match[1])}"', drawing)


def _read(code: str) -> str:
    # one line of markup, as the rest of a tag is; the page shows the breaks
    return str(escape(base64.urlsafe_b64decode(code).decode("utf-8"))).replace("\n", "&#10;")
