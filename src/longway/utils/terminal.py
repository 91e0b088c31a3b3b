"""Text of users' on a terminal: nothing in it moves the cursor, changes colours or titles, or reorders letters."""

from __future__ import annotations

import re

# Controls but the tab and the end of a line, and the marks that change the direction of writing.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Replace control characters by their escapes, so that a terminal shows them and does not obey.

    Examples
    --------
    >>> print(visible("cat\x1b[2J"))
    cat\x1b[2J
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
