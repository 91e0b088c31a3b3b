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
    MeanStd,
    Section,
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
    "MeanStd",
    "Page",
    "Section",
    "Tab",
    "Table",
    "Tabs",
    "Text",
]
