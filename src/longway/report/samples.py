"""Samples to look at: pictures, beginnings of texts, or names of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from longway.report.blocks import Block, Column, ImageGrid, ImageRow, Table
from longway.report.images import shrink, to_pixels
from longway.report.words import clip
from longway.utils.errors import LongwayError
from longway.utils.pixels import as_rgb
from longway.utils.records import Example

SIDE = 168
"""Side of a picture on the page in pixels, at most."""
SNIPPET = 220
"""Displayed characters of a text."""


class Found(Protocol):
    """A result that holds examples: an audit or an explanation."""

    @property
    def kind(self) -> str:
        """The kind of inputs: features, images or texts."""

    @property
    def n_given(self) -> int:
        """Number of given samples."""

    @property
    def rows(self) -> np.ndarray | None:
        """Positions, among the given samples, of those that examples refer to."""

    @property
    def images(self) -> np.ndarray | None:
        """Pictures of these samples."""


class Samples:
    """Renders examples as images or texts if available, else as rows of a table.

    Parameters
    ----------
    found : Audit or Explanation
    inputs : sequence, optional
        Images or texts as they were given, in the same order: an array (n, c, h, w), a list of str, or a column of a
        data set. Read only where an example is shown. Without them, the pictures that ``found`` holds.
    """

    def __init__(self, found: Found, inputs: Any = None) -> None:
        self.found = found
        self.inputs = inputs
        if inputs is not None and len(inputs) != found.n_given:
            what = type(found).__name__.lower()
            raise LongwayError(
                f"inputs has {len(inputs)} rows, the {what} was given {found.n_given}: give the same inputs"
            )

    def blocks(self, titles: Sequence[str], ends: Sequence[Sequence[Example]], most: int) -> list[Block]:
        """Return titled rows of examples, limited in length; nothing without examples."""
        shown = [(title, list(examples)[:most]) for title, examples in zip(titles, ends, strict=True) if examples]
        if not shown or most < 1:
            return []
        pictures = [self.pictures(examples) for _, examples in shown]
        if all(each is not None for each in pictures):
            rows = [
                ImageRow(clip(title), np.stack(each), [self.caption(example) for example in examples])
                for (title, examples), each in zip(shown, pictures, strict=True)
                if each
            ]
            return [ImageGrid(rows, width=SIDE // 2)]
        return [self._table(shown)]

    def pictures(self, examples: Sequence[Example]) -> list[np.ndarray] | None:
        """Return square pictures of one size on a transparent ground; None without images."""
        found = []
        for example in examples:
            value = self._value(example.row)
            if value is None and self.found.images is not None:
                value = self.found.images[example.row]
            if value is None or isinstance(value, str):
                return None
            found.append(_square(_pixels(value)))
        side = max(len(each) for each in found)
        return [_enlarge(each, side) for each in found]

    def _value(self, row: int) -> Any:
        """Return a given image or text; None if it is neither or cannot be read."""
        if self.inputs is None:
            return None
        try:
            value = self.inputs[self.position(row)]
        except (LongwayError, OSError):  # there may be a small picture beside, or the row has its name
            return None
        return None if isinstance(value, np.ndarray) and value.ndim != 3 else value

    def position(self, row: int) -> int:
        """Return the position of an audited sample in the given data."""
        return row if self.found.rows is None else int(self.found.rows[row])

    def caption(self, example: Example) -> str:
        """Return the caption of a picture: its label, the prediction if any, and its name."""
        if not example.predicted:
            return f"{clip(example.label, 24)} · {clip(example.id, 32)}"
        right = example.label == example.predicted
        said = "right" if right else f"called {clip(example.predicted, 24)}"
        return f"{clip(example.label, 24)}, {said} · {clip(example.id, 32)}"

    def _table(self, shown: Sequence[tuple[str, Sequence[Example]]]) -> Table:
        valued = any(np.isfinite(example.value) for _, examples in shown for example in examples)
        texts = any(isinstance(self._value(example.row), str) for _, examples in shown for example in examples)
        columns: list[Column | str] = ["Sample", *(["Text"] if texts else []), "Where", "Label", "The model says"]
        columns += [Column("Value", format=".2f")] if valued else []
        rows = [
            [clip(example.id), *([self._text(example)] if texts else [])]
            + [clip(title), clip(example.label), clip(example.predicted)]
            + ([example.value] if valued else [])
            for title, examples in shown
            for example in examples
        ]
        return Table(columns, rows)

    def _text(self, example: Example) -> str:
        value = self._value(example.row)
        return clip(value, SNIPPET) if isinstance(value, str) else clip(example.id)


def walk(pictures: Any, most: int = 11) -> Iterator[np.ndarray]:
    """Yield pictures along a traversal (steps, c, h, w), limited in number, ends included."""
    pixels = to_pixels(np.clip(np.nan_to_num(np.asarray(pictures)), 0, 1), "traversal")
    chosen = np.unique(np.linspace(0, len(pixels) - 1, min(most, len(pixels))).round().astype(int))
    for image in pixels[chosen]:
        yield shrink(image, SIDE)


def _pixels(value: Any) -> np.ndarray:
    """Return one image (h, w, 3) of bytes, at most `SIDE` a side, from a PIL image or an array (c, h, w)."""
    if hasattr(value, "convert"):
        with value:
            picture = as_rgb(value)
            picture.thumbnail((SIDE, SIDE))
            return np.asarray(picture)
    array = np.asarray(value)
    if array.dtype != np.uint8:
        array = np.clip(np.nan_to_num(array.astype(np.float32)), 0, 1)
    if array.shape[0] not in (1, 3):
        array = array[:1]  # of other numbers of channels the first stands for all
    return shrink(to_pixels(array[None])[0], SIDE)


def _square(image: np.ndarray) -> np.ndarray:
    """Return an image on a grey square, without cropping, as the edges may matter."""
    height, width = image.shape[:2]
    side = max(height, width)
    ground = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    ground[top : top + height, left : left + width] = image
    return ground


def _enlarge(image: np.ndarray, side: int) -> np.ndarray:
    """Return a square image of this size, each pixel repeated."""
    if len(image) == side:
        return image
    where = np.arange(side) * len(image) // side
    return image[where][:, where]
