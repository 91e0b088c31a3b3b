"""Where records of the zoo are kept, so that an interrupted run goes on; another code of Longway makes them anew."""

from __future__ import annotations

from pathlib import Path

import longway
from longway.utils.storage import cache_root, hash_json


def kept(name: str) -> Path:
    """Return the folder of a benchmark's records, under a hash of all code that they come from."""
    folders = (Path(longway.__file__).parent, Path(__file__).parent)
    sources = {str(path.relative_to(root)): path.read_text() for root in folders for path in sorted(root.rglob("*.py"))}
    return cache_root() / name / hash_json(sources)
