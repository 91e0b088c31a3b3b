"""The table of all methods, from the registry."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from blocks.results import Results
from blocks.text import table

PAGE = Path(__file__).resolve().parents[1] / "methods.md"


def methods(_: Results) -> str:
    """Return a line for each registered method, linked to its section of the page."""
    import longway
    from longway.methods._index import method_modules

    sections = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    rows = []
    for name in method_modules():
        cls = getattr(longway, name)
        section = next((section for section in sections if name in re.findall(r"\w+", section)), None)
        if section is None:
            sys.exit(f"docs/methods.md has no section for {name}")
        anchor = re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-")
        rows.append([f"[{name}](#{anchor})", _groups(cls), *_trains(cls), cls.needs])
    return table(["Method", "Group labels it may use", "Inputs", "Trains", "Needs"], rows)


def _groups(cls: Any) -> str:
    inferred = ", inferred if none are given" if "group_inference" in cls().get_params() else ""
    return f"`{cls.supervision}`{inferred}"


def _trains(cls: Any) -> tuple[str, str]:
    """Return the inputs that a method takes and the kind of model that it trains on them."""
    if not cls.takes_images:
        return "features", "linear head"
    hidden = cls().get_params().get("hidden")
    return "features, images", "linear head; network on images" if hidden == () else "network"
