"""Folders of images: parts and classes from their sub-folders, or a table of file names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longway.data.paths import inside
from longway.data.splits import part_name
from longway.data.table import Source, Table
from longway.utils.errors import CorruptFileError, LongwayError

if TYPE_CHECKING:
    import datasets

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
IGNORED = frozenset({"__MACOSX"})
"""Folders that archives of other systems bring along."""
FILE_NAME = "file_name"


def list_files(root: Path) -> list[Path]:
    """Return the files of a folder, at any depth, that are not hidden, in order."""
    found = []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in IGNORED)
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def is_image(file: Path) -> bool:
    """Return whether a file's name is that of an image."""
    return file.suffix.lower() in IMAGE_SUFFIXES


def open_images(root: Path, files: Sequence[Path]) -> Source:
    """Open a folder of images whose sub-folders are the classes, in folders train/, val/ and test/ if there are any.

    The first folder, or the first within a part, is the class; folders within it say nothing.

    Raises
    ------
    LongwayError
        An image lies outside the parts or the classes; the message names it.
    """
    places = [file.relative_to(root).parts[:-1] for file in files]
    parts = [part_name(place[0]) if place else None for place in places]
    if any(parts):
        if None in parts:
            known = ", ".join(sorted({place[0] for place, part in zip(places, parts, strict=True) if part}))
            odd = files[parts.index(None)].relative_to(root)
            raise LongwayError(
                f"{root} has the parts {known}, and images outside of them, such as {odd}: move or remove them"
            )
        places = [place[1:] for place in places]
    classes = [place[0] if place else None for place in places]
    if any(classes) and None in classes:
        files, parts, classes = _classified(root, files, parts, classes)
    columns: dict[str, Any] = {"image": [str(file) for file in files]}
    if any(classes):
        columns["label"] = classes
    if any(parts):
        columns["split"] = parts
    rows = _with_images(columns, ["image"])
    return Source(str(root), Table(rows, "label" if any(classes) else None, "split" if any(parts) else None), root=root)


def _classified(
    root: Path, files: Sequence[Path], parts: Sequence[str | None], classes: Sequence[str | None]
) -> tuple[list[Path], list[str | None], list[str | None]]:
    """Leave out parts without any class, as tests of competitions are; raise for a single image without one."""
    labelled = {part for part, name in zip(parts, classes, strict=True) if name}
    rows = [row for row, part in enumerate(parts) if part in labelled]
    odd = next((files[row] for row in rows if classes[row] is None), None)
    if odd is not None:
        raise LongwayError(
            f"{odd.relative_to(root)} of {root} is in no class folder, as the other images are: move or remove it"
        )
    left = sorted({str(part) for part in parts} - {str(part) for part in labelled})
    warnings.warn(
        f"the part {', '.join(left)} of {root} has no class folders: its {len(files) - len(rows)} images are left out",
        stacklevel=2,
    )
    return [files[row] for row in rows], [parts[row] for row in rows], [classes[row] for row in rows]


def open_listed(root: Path, rows: datasets.Dataset, anywhere: bool = False) -> Source:
    """Open a folder of images that a table names in its column ``file_name``, or in columns ``..._file_name``.

    Folders train/, val/ and test/ in the names are the split, unless a column says otherwise.

    Raises
    ------
    CorruptFileError
        A file is missing.
    LongwayError
        A name leads out of the folder.
    """
    named = [name for name in rows.column_names if name == FILE_NAME or name.endswith(f"_{FILE_NAME}")]
    columns: dict[str, Any] = {}
    for name in named:
        target = "image" if name == FILE_NAME else name.removesuffix(f"_{FILE_NAME}")
        columns[target] = [_found(root, value, row, anywhere) for row, value in enumerate(rows[name])]
    kept = {name: rows[name] for name in rows.column_names if name not in named and name not in columns}
    split = _split_of_names(root, next(iter(columns.values()))) if not any(map(_is_split, kept)) else None
    made = _with_images(columns if split is None else {**columns, "split": split}, list(columns))
    joined = _joined(made, rows.select_columns(list(kept))) if kept else made
    return Source(str(root), Table(joined, None, None if split is None else "split"), root=root)


def _is_split(name: str) -> bool:
    return name.lower() in ("split", "part", "partition", "fold", "subset")


def _found(root: Path, value: Any, row: int, anywhere: bool) -> str:
    """Return the path of a file that a table names; names that Windows wrote have backslashes."""
    path = root / (str(value) if anywhere else inside(str(value), f"row {row} of {root}"))
    if not path.is_file():
        raise CorruptFileError(f"row {row} of {root} names {value}, which is missing: restore it or drop that row")
    return str(path)


def _split_of_names(root: Path, files: Sequence[str]) -> list[str | None] | None:
    """Return the part of each file, if all lie in folders of parts, and in more than one."""
    inner = [Path(file) for file in files]
    if not all(file.is_relative_to(root) for file in inner):
        return None
    parts = [part_name(file.relative_to(root).parts[0]) for file in inner]
    return parts if None not in parts and len(set(parts)) > 1 else None


def _with_images(columns: dict[str, Any], images: Sequence[str]) -> datasets.Dataset:
    """Return columns as a data set whose images are read on demand."""
    import datasets

    types: dict[str, Any] = {name: datasets.Image() if name in images else datasets.Value("string") for name in columns}
    if "label" in columns:
        types["label"] = datasets.ClassLabel(names=sorted(set(columns["label"])))
    return datasets.Dataset.from_dict(columns, features=datasets.Features(types))


def _joined(first: datasets.Dataset, second: datasets.Dataset) -> datasets.Dataset:
    import datasets

    return datasets.concatenate_datasets([first, second], axis=1)
