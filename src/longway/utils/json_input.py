"""JSON of files that others wrote: capped in size and depth."""

from __future__ import annotations

import json
from typing import Any

LARGEST = 2**25
"""Maximum size in bytes; parsed, JSON takes up to forty times its size."""
DEEPEST = 64
"""Maximum number of levels, far below Python's limit of recursion."""


def parse_json(content: str | bytes, *, largest: int = LARGEST) -> Any:
    """Parse JSON.

    Parameters
    ----------
    content : str or bytes
    largest : int, default 2**25
        Maximum size in bytes.

    Raises
    ------
    ValueError
        It is no JSON, larger than ``largest``, or deeper than ``DEEPEST`` levels.

    Examples
    --------
    >>> parse_json('{"a": [1]}')
    {'a': [1]}
    """
    if len(content) > largest:
        raise ValueError(f"its JSON is larger than {largest} bytes")
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError(f"its JSON is deeper than {DEEPEST} levels") from error
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return value
    raise ValueError(f"its JSON is deeper than {DEEPEST} levels")
