"""Self-contained HTML reports: blocks of plain data on one page that opens offline."""

from longway.report.blocks import (
    Block,
    Bullets,
    Callout,
    Code,
    Column,
    Figure,
    ImageGrid,
    ImageRow,
    KeyFigure,
    KeyFigures,
    Section,
    Spread,
    Tab,
    Table,
    Tabs,
    Text,
)
from longway.report.page import Page

__all__ = [
    "Block",
    "Bullets",
    "Callout",
    "Code",
    "Column",
    "Figure",
    "ImageGrid",
    "ImageRow",
    "KeyFigure",
    "KeyFigures",
    "Page",
    "Section",
    "Spread",
    "Tab",
    "Table",
    "Tabs",
    "Text",
]
