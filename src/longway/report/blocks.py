"""The building blocks of a report: plain data that `longway.report.Page` renders."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as MatplotlibFigure

from longway.report.images import TINY, data_uri, shrink, to_pixels
from longway.utils.errors import LongwayError

Tone: TypeAlias = Literal["neutral", "good", "bad"]

_MISSING = "–"


@dataclass(frozen=True)
class Text:
    """Plain paragraphs; a blank line starts a new one."""

    kind: ClassVar[str] = "text"
    text: str

    @property
    def paragraphs(self) -> list[str]:
        """The paragraphs, without blank ones."""
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]


@dataclass(frozen=True)
class Callout:
    """The key finding, set apart from the rest; ``tone`` colours it."""

    kind: ClassVar[str] = "callout"
    text: str
    title: str = ""
    tone: Tone = "neutral"

    def __post_init__(self) -> None:
        _check_tone(self.tone)


@dataclass(frozen=True)
class Code:
    """A command or a line of code with a copy button."""

    kind: ClassVar[str] = "code"
    text: str
    title: str = ""


@dataclass(frozen=True)
class Bullets:
    """Short entries, one below the other."""

    kind: ClassVar[str] = "list"
    entries: Sequence[str]


@dataclass(frozen=True)
class KeyFigure:
    """One big number, already formatted, with a label below and an optional note."""

    value: str
    label: str
    note: str = ""
    tone: Tone = "neutral"

    def __post_init__(self) -> None:
        _check_tone(self.tone)


@dataclass(frozen=True)
class KeyFigures:
    """A row of big numbers."""

    kind: ClassVar[str] = "key_figures"
    figures: Sequence[KeyFigure]


class MeanStd(NamedTuple):
    """A table cell with mean and standard deviation, shown as 81.2 ± 1.3 %; sorted by the mean."""

    mean: float
    std: float


@dataclass(frozen=True)
class Column:
    """A table column.

    Parameters
    ----------
    name : str
    description : str
        What the column means, for the reader who asks.
    format : str
        Format specification for its numbers, such as ``.1%``; by default integers in full and
        other numbers to 3 significant digits.
    bar : bool
        Draw a bar behind the numbers, which must then lie in [0, 1].
    """

    name: str
    description: str = ""
    format: str = ""
    bar: bool = False

    def __post_init__(self) -> None:
        try:
            format(0.5, self.format)
        except ValueError as error:
            raise LongwayError(f"column {self.name!r} has format {self.format!r}: {error}") from error


class Cell(NamedTuple):
    """A rendered table cell: its text, sort key, bar length, and highlight."""

    text: str
    number: float | None
    share: float | None
    highlight: bool


@dataclass(frozen=True)
class Table:
    """A table the reader can sort by any column.

    Parameters
    ----------
    columns : sequence of Column or str
    rows : sequence of sequences
        Numbers, `MeanStd`, text, booleans; None and NaN are shown as missing.
    caption : str
    highlight_rows : collection of int
        Rows that stand out, by position.
    highlight_cells : collection of (int, int)
        Cells that stand out, by row and column.

    Raises
    ------
    LongwayError
        If a row has more or fewer cells than there are columns.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[Column | str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    highlight_rows: Collection[int] = ()
    highlight_cells: Collection[tuple[int, int]] = ()

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise LongwayError(f"row {number} has {len(row)} cells but the table has {len(self.columns)} columns")

    @property
    def headers(self) -> list[Column]:
        """The columns, including those given only by name."""
        return [Column(column) if isinstance(column, str) else column for column in self.columns]

    @property
    def numeric(self) -> list[bool]:
        """For each column, true if it holds only numbers."""
        columns = [[row[j] for row in self.rows] for j in range(len(self.columns))]
        return [
            any(_number(v) is not None for v in column)
            and all(_number(v) is not None or _is_missing(v) for v in column)
            for column in columns
        ]

    @property
    def cells(self) -> Iterator[tuple[bool, list[Cell]]]:
        """Each row's highlight and its cells."""
        headers = self.headers
        for i, row in enumerate(self.rows):
            cells = []
            for j, (column, value) in enumerate(zip(headers, row, strict=True)):
                number = _number(value)
                share = min(max(number, 0.0), 1.0) if column.bar and number is not None else None
                cells.append(Cell(_format(value, column.format), number, share, (i, j) in self.highlight_cells))
            yield i in self.highlight_rows, cells


@dataclass(frozen=True, eq=False)
class Figure:
    """A matplotlib figure with a caption and alternative text.

    Its text is read literally: a ``$`` never starts mathematics.
    """

    kind: ClassVar[str] = "figure"
    figure: MatplotlibFigure
    alt: str
    caption: str = ""


@dataclass(frozen=True, eq=False)
class ImageRow:
    """A row of images under one heading.

    Parameters
    ----------
    heading : str
    images : array-like of shape (n, h, w, c) or (n, c, h, w), c = 1 or 3
        Bytes, or floats in [0, 1].
    captions : sequence of str, optional
        One for each image.
    note : str
        A line below the heading.

    Raises
    ------
    LongwayError
        If the images are not images, or the captions are not as many.
    """

    heading: str
    images: npt.ArrayLike
    captions: Sequence[str] = ()
    note: str = ""

    def __post_init__(self) -> None:
        pixels = to_pixels(self.images)
        if self.captions and len(self.captions) != len(pixels):
            raise LongwayError(f"captions has {len(self.captions)} entries for {len(pixels)} images")
        object.__setattr__(self, "images", pixels)


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Rows of images; tiny ones are enlarged pixel by pixel, large ones scaled down to spare space.

    Parameters
    ----------
    rows : sequence of ImageRow
    caption : str
    width : int, default 72
        Width of each image on the page, in CSS pixels.
    """

    kind: ClassVar[str] = "image_grid"
    rows: Sequence[ImageRow]
    caption: str = ""
    width: int = 72

    def pictures(self, row: ImageRow) -> Iterator[tuple[str, str, str, bool]]:
        """Yield each image's data URI, caption, alternative text, and whether it is tiny."""
        captions = row.captions or [""] * len(np.asarray(row.images))
        for number, (image, caption) in enumerate(zip(np.asarray(row.images), captions, strict=True), start=1):
            # Twice the shown width keeps photographs sharp on dense screens.
            uri = data_uri(shrink(image, max(TINY, 2 * self.width)))
            yield uri, caption, caption or f"{row.heading}, image {number}", max(image.shape[:2]) <= TINY


@dataclass(frozen=True)
class Tab:
    """One panel of `Tabs`."""

    title: str
    blocks: Sequence[Block]

    def __post_init__(self) -> None:
        _check_blocks(self.blocks, f"tab {self.title!r}")


@dataclass(frozen=True)
class Tabs:
    """Panels that are shown one at a time; all of them on paper and without JavaScript."""

    kind: ClassVar[str] = "tabs"
    tabs: Sequence[Tab]


@dataclass(frozen=True)
class Section:
    """A titled part of the page, listed in its navigation."""

    title: str
    blocks: Sequence[Block] = ()
    lead: str = ""

    def __post_init__(self) -> None:
        _check_blocks(self.blocks, f"section {self.title!r}")


Block: TypeAlias = Text | Bullets | Code | Callout | KeyFigures | Table | Figure | ImageGrid | Tabs
"""The parts that a section of a page is made of."""


def _check_blocks(blocks: Sequence[Any], where: str) -> None:
    for each in blocks:
        if not isinstance(each, Block):
            raise LongwayError(f"{where} holds a {type(each).__name__}, which is not a block")


def _check_tone(tone: str) -> None:
    if tone not in ("neutral", "good", "bad"):
        raise LongwayError(f"tone is {tone!r}; it must be neutral, good or bad")


def _number(value: Any) -> float | None:
    """Return the sort key of a cell, or None if it is not a number or is missing."""
    if isinstance(value, MeanStd):
        value = value.mean
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or math.isnan(value):
        return None
    return float(value)


def _is_missing(value: Any) -> bool:
    if isinstance(value, MeanStd):
        value = value.mean
    return value is None or (isinstance(value, Real) and math.isnan(value))


def _format(value: Any, specification: str) -> str:
    if _is_missing(value):
        return _MISSING
    if isinstance(value, MeanStd):
        mean, std = (_format(part, specification) for part in value)
        if std == _MISSING:
            return mean
        # The unit once, after both.
        return f"{mean.removesuffix('%')} ± {std}" if mean.endswith("%") else f"{mean} ± {std}"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral) and not specification:
        return f"{int(value):,}"
    if isinstance(value, Real):
        return format(float(value), specification or ".3g").replace("-", "−")
    return str(value)
