"""Columns of images and texts that stay on disk until they are sliced."""

from __future__ import annotations

import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.storage import new_hash

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa
    from PIL import Image

_PIECE = 256
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Formats of Pillow that images are opened with, whatever their names say; none of them runs another program."""


class LazyColumn(ABC):
    """One column of a `datasets.Dataset`, read in slices.

    Parameters
    ----------
    rows : datasets.Dataset
        Holds the column; memory-mapped, so that any number of rows fits.
    name : str
        The column.
    source : str
        Where it comes from, for messages.
    ids : ndarray of shape (n,), optional
        Row numbers in the source, for messages.
    """

    kind: ClassVar[Literal["images", "texts"]]

    def __init__(self, rows: datasets.Dataset, name: str, source: str, ids: np.ndarray | None = None) -> None:
        self.rows = rows.select_columns([name])
        self.name = name
        self.source = source
        self.ids = np.arange(len(rows)) if ids is None else ids
        self._arrow = self.rows.with_format("arrow")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice | np.ndarray) -> Any:
        """Return one value for a number, a list of them for a slice or an array of positions."""
        if isinstance(index, int | np.integer):
            position = int(index) + (len(self) if index < 0 else 0)
            if not 0 <= position < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            return self.read(np.array([position]))[0]
        return self.read(np.arange(len(self))[index])

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), _PIECE):
            yield from self[start : start + _PIECE]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows of {self.name!r} in {self.source})"

    def take(self, where: np.ndarray) -> LazyColumn:
        """Return the rows at these positions."""
        rows = self.rows.select(where, keep_in_memory=True)
        return type(self)(rows, self.name, self.source, self.ids[where])

    @abstractmethod
    def read(self, where: np.ndarray) -> list[Any]:
        """Read the values at these positions."""

    @abstractmethod
    def content_hash(self) -> str:
        """Hash the content of all rows in order, in chunks."""

    def _column(self, where: np.ndarray) -> pa.ChunkedArray:
        if len(where) and where[-1] - where[0] == len(where) - 1 and np.all(np.diff(where) == 1):
            return self._arrow[int(where[0]) : int(where[-1]) + 1].column(0)
        return self._arrow[where].column(0)

    def _pieces(self) -> Iterator[np.ndarray]:
        return (np.arange(i, min(i + _PIECE, len(self))) for i in range(0, len(self), _PIECE))

    def _at(self, position: int) -> str:
        return f"row {self.ids[position]} of column {self.name!r} in {self.source}"


class TextColumn(LazyColumn):
    """A column of texts; slices of it are lists of str."""

    kind = "texts"

    def read(self, where: np.ndarray) -> list[str]:
        """Read the texts at these positions.

        Raises
        ------
        LongwayError
            A text is missing.
        """
        texts = self._column(where).to_pylist()
        for position, text in zip(where, texts, strict=True):
            if text is None:
                raise LongwayError(f"{self._at(position)} has no text: fill it in or drop that row")
        return texts

    def content_hash(self) -> str:
        """Hash all texts in their order."""
        digest = new_hash()
        for piece in self._pieces():
            digest.update(json.dumps(self.read(piece)).encode())
        return digest.hexdigest()


class ImageColumn(LazyColumn):
    """A column of encoded images or of names of image files; slices of it are lists of PIL images.

    Parameters
    ----------
    rows, name, source, ids
        As in LazyColumn. A value is a path, bytes, or ``{"bytes": ..., "path": ...}``.
    root : Path, optional
        Folder that relative paths start from, and that files must be in; without one, any file is read.
    allow_outside : bool, default False
        Read files outside ``root`` too.
    """

    kind = "images"

    def __init__(
        self,
        rows: datasets.Dataset,
        name: str,
        source: str,
        ids: np.ndarray | None = None,
        root: Path | None = None,
        allow_outside: bool = False,
    ) -> None:
        super().__init__(rows, name, source, ids)
        self.root = root
        self.allow_outside = allow_outside

    def take(self, where: np.ndarray) -> ImageColumn:
        """Return the rows at these positions."""
        rows = self.rows.select(where, keep_in_memory=True)
        return ImageColumn(rows, self.name, self.source, self.ids[where], self.root, self.allow_outside)

    def read(self, where: np.ndarray, min_size: int | None = None) -> list[Image.Image]:
        """Decode the images at these positions.

        Parameters
        ----------
        where : ndarray of int
            Positions.
        min_size : int, optional
            Both sides may shrink while decoding as long as they keep this many pixels (JPEG only, and much faster).

        Raises
        ------
        CorruptFileError
            An image is missing or does not decode.
        """
        return [
            self._decode(self._open(value, position), position, min_size) for position, value in self._values(where)
        ]

    def read_some(
        self, where: np.ndarray, min_size: int | None = None
    ) -> tuple[list[Image.Image], list[int], list[tuple[int, str]]]:
        """Decode those images at these positions that can be decoded.

        Returns
        -------
        images : list of PIL.Image.Image
        readable : list of int
            Their positions.
        broken : list of (int, str)
            The positions of the others, with the reason.
        """
        images, readable, broken = [], [], []
        for position in where.tolist():
            try:
                images += self.read(np.array([position]), min_size)
                readable.append(position)
            except CorruptFileError as error:
                broken.append((position, str(error)))
        return images, readable, broken

    def encoded(self, where: np.ndarray) -> list[bytes | None]:
        """Read the encoded bytes of the images at these positions; None for a missing one."""
        return [self._bytes(value, position) for position, value in self._values(where)]

    def sizes(self, skip_broken: bool = False) -> Iterator[tuple[int, int]]:
        """Read width and height of each image from its header; ``skip_broken`` omits those that have none."""
        for piece in self._pieces():
            for position, value in self._values(piece):
                try:
                    with self._open(value, position) as image:
                        turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientations 5 to 8 lie on their side
                        size = image.size[::-1] if turned else image.size
                except CorruptFileError:
                    if not skip_broken:
                        raise
                    continue
                yield size

    def names(self) -> np.ndarray | None:
        """Return the file name of each image if all are different, else None."""
        import pyarrow as pa
        import pyarrow.compute as pc

        parts = []
        for piece in self._pieces():
            column = self._column(piece)
            if pa.types.is_struct(column.type):
                column = pc.struct_field(column, "path")
            if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type) or column.null_count:
                return None
            parts += column.to_pylist()
        root = None if self.root is None else self.root.resolve()
        parts = [str(name).replace("\\", "/") for name in parts]
        names = [Path(name).relative_to(root).as_posix() if root and _inside(name, root) else name for name in parts]
        return np.array(names, dtype=str) if names and len(set(names)) == len(names) else None

    def content_hash(self) -> str:
        """Hash the encoded bytes of all images in their order."""
        digest = new_hash()
        for piece in self._pieces():
            for position, value in self._values(piece):
                content = self._bytes(value, position)
                digest.update((2**64 - 1 if content is None else len(content)).to_bytes(8, "little"))
                digest.update(content or b"")
        return digest.hexdigest()

    def _values(self, where: np.ndarray) -> Iterator[tuple[int, Any]]:
        return zip(where.tolist(), self._column(where).to_pylist(), strict=True)

    def _encoded(self, value: Any, position: int) -> Path | bytes:
        """Find the bytes of an image, or the file that contains it."""
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if not value:
            raise CorruptFileError(f"{self._at(position)} has no image: fill it in or drop that row")
        if isinstance(value, bytes):
            return value
        path = (self.root or Path()) / value
        if "\\" in value and not path.is_file():  # as Windows writes it
            path = (self.root or Path()) / value.replace("\\", "/")
        if self.root is not None and not self.allow_outside and not _below(path, self.root):
            raise LongwayError(
                f"{self._at(position)} names {path}, which is outside the data's folder {self.root}: move it there, or "
                "allow it with allow_outside=True"
            )
        if not path.is_file():
            raise CorruptFileError(f"{self._at(position)} names {path}, which is missing: restore it or drop that row")
        return path

    def _bytes(self, value: Any, position: int) -> bytes | None:
        try:
            data = self._encoded(value, position)
            return data.read_bytes() if isinstance(data, Path) else data
        except (CorruptFileError, OSError):
            return None

    def _open(self, value: Any, position: int) -> Image.Image:
        from PIL import Image

        data = self._encoded(value, position)
        try:
            image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS)
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                image.close()
                raise ValueError(f"{image.width:,} x {image.height:,} pixels, more than the {limit:,} that are read")
            return image
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise self._undecodable(data, position, error) from error

    def _decode(self, image: Image.Image, position: int, min_size: int | None) -> Image.Image:
        from PIL import Image, ImageOps

        try:
            if min_size is not None:
                image.draft(None, (min_size, min_size))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            image.close()
            raise self._undecodable(getattr(image, "filename", ""), position, error) from error

    def _undecodable(self, data: object, position: int, error: Exception) -> CorruptFileError:
        file = f" ({data})" if data and not isinstance(data, bytes) else ""
        reason = str(error).split("<_io")[0].strip() or type(error).__name__
        return CorruptFileError(
            f"{self._at(position)}{file} is not an image that can be decoded ({reason}): replace it or drop that row"
        )


def _below(path: Path, root: Path) -> bool:
    """Return whether a path stays in a folder by its name; links that the user put there may lead elsewhere."""
    folders = (os.path.abspath(root), root.resolve())  # noqa: PTH100 (a link in the path must not be followed)
    return any(Path(os.path.abspath(path)).is_relative_to(folder) for folder in folders)  # noqa: PTH100


def _inside(name: str, root: Path) -> bool:
    path = Path(name)
    return path.is_absolute() and path.is_relative_to(root)
