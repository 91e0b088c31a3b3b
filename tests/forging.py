"""Parts of JSON records, to forge them one by one."""

from __future__ import annotations


def places(value, path=()):
    """Yield the path of each part, at any depth."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))
