"""Parts that the pages of an audit and of an explanation share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longway._version import __version__
from longway.report.blocks import Block, Bullets, Code, Figure
from longway.report.page import Page
from longway.report.signals import distribution
from longway.report.words import clip
from longway.utils.records import Record
from longway.utils.storage import write_json

MAX_ROWS = 200
"""Rows of a table and entries of a list."""
DRAWN = 14
"""Lines of a drawing."""
SORT = "Select a heading to sort."


def footer(command: str) -> str:
    """Return the line at the foot of a page that a command makes."""
    return f"Made by longway {command}, version {__version__}. This file loads nothing from the network."


def write_page(page: Page, record: Record, folder: str | os.PathLike[str], html: str, json: str) -> Path:
    """Write a page and the record behind it into a folder; return the path of the page."""
    write_json(Path(folder) / json, record.to_dict())
    return page.save(Path(folder) / html)


def notes(texts: Sequence[str], most: int = 400) -> Bullets:
    """Return untrusted notes as a list."""
    return Bullets([clip(text, most) for text in texts[:MAX_ROWS]])


def advice_blocks(command: str, python: str, title: str) -> list[Block]:
    """Return a command and a line of Python to copy, if there are any, the first under a title."""
    lines = {title: command, "In Python": python} if command else {title: python}
    return [Code(clip(line, 2000), name) for name, line in lines.items() if line]


def distribution_blocks(values: Any, y: np.ndarray | None, name: str) -> list[Block]:
    """Return a drawing of a signal's distribution in each class; nothing if it is unknown."""
    if values is None or y is None or not np.isfinite(np.asarray(values, np.float64)).any():
        return []
    caption = "Shares of each class, extremes in the outermost bars. Point at a bar, or use the arrow keys."
    return [Figure(distribution(values, y, name), f"Distribution of {name} in each class", caption)]
