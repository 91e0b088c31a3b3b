"""Layout of image folders: parts, classes and metadata, found from the paths of the files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from longway.data.splits import known_parts, part_name
from longway.data.table import Source, Table
from longway.utils.errors import LongwayWarning

if TYPE_CHECKING:
    import datasets

FILE_NAME = "file_name"
IMAGE = "image"


def visible(root: Path) -> list[Path]:
    """List the files below a folder, without hidden ones and those that an archive of a Mac adds."""
    return sorted(file for file in root.rglob("*") if file.is_file() and not _hidden(file, root))


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in file.relative_to(root).parts)


def open_images(root: Path, files: list[Path]) -> Source:
    """Open images whose folders are the classes, with train/, val/ and test/ above them or not.

    Parameters
    ----------
    root : Path
        The folder.
    files : list of Path
        Its images.

    Returns
    -------
    Source
        The label is the first folder below the part, as in torchvision; it is missing for files outside class folders.
        Files in folders other than the parts are left out, with a warning.
    """
    import datasets

    names = [file.relative_to(root).as_posix() for file in files]
    parts = folder_parts(names, str(root))
    if parts is not None:
        names = [name for name, part in zip(names, parts, strict=True) if part]
        parts = [part for part in parts if part]
    depth = 0 if parts is None else 1
    classes = [path.parts[depth] if len(path.parts) > depth + 1 else None for path in map(PurePosixPath, names)]
    columns: dict[str, Any] = {IMAGE: names}
    if any(classes):
        columns["label"] = classes
    if parts is not None and len(set(parts)) > 1:
        columns["split"] = parts
    rows = as_images(datasets.Dataset.from_dict(columns), IMAGE)
    label, split = ("label" if any(classes) else None), ("split" if "split" in columns else None)
    return Source(str(root), Table(rows, label, split), root=root)


def open_metadata(root: Path, metadata: list[Path], load: Callable[[list[Path]], datasets.Dataset]) -> Source:
    """Open images that a column of a metadata file names; the folders train/, val/ and test/ are the split.

    Parameters
    ----------
    root : Path
    metadata : list of Path
        One file in the root, or one in each part.
    load : callable
        Reads a list of tables of the same kind as one.
    """
    import datasets

    folders = [file.parent.relative_to(root).as_posix() for file in metadata]
    tables = [load([file]) for file in metadata]
    tables = [table if folder == "." else _below(table, folder) for table, folder in zip(tables, folders, strict=True)]
    rows = datasets.concatenate_datasets(tables)
    column = next((name for name in rows.column_names if name == FILE_NAME), None)
    if column is None:
        return Source(str(metadata[0]), Table(rows), root=root)
    names = [str(name).replace("\\", "/") for name in rows.with_format("arrow")[:].column(column).to_pylist()]
    split, parts = None, folder_parts(names, str(root)) if "/" in "".join(names[:1]) else None
    if parts is not None and len(set(parts)) > 1:
        split = "split" if "split" not in rows.column_names else "_split"
        rows = rows.add_column(split, parts)
    image = IMAGE if IMAGE not in rows.column_names else FILE_NAME
    rows = rows if image == column else rows.rename_column(column, image)
    return Source(str(root), Table(as_images(rows, image), split=split), root=root)


def _below(table: datasets.Dataset, folder: str) -> datasets.Dataset:
    """Return a table whose file names start from the root instead of the table's own folder."""
    if FILE_NAME not in table.column_names:
        return table
    names = [f"{folder}/{name}" for name in table[FILE_NAME]]
    at = table.column_names
    return table.remove_columns(FILE_NAME).add_column(FILE_NAME, names).select_columns(at)


def as_images(rows: datasets.Dataset, column: str) -> datasets.Dataset:
    """Declare a column of file names to hold images, whatever the names end in."""
    import datasets

    kind = rows.features[column]
    return rows.cast_column(column, datasets.Image(decode=False)) if not isinstance(kind, datasets.Image) else rows


def folder_parts(names: list[str], where: str) -> list[str] | None:
    """Return the part of each file, "" for those in no part; None if the first folders are not parts.

    One known name is not enough where there are others: a class may be called train.
    """
    first = [name.partition("/")[0] if "/" in name else "" for name in names]
    folders = sorted(set(first) - {""})
    if len(folders) > 1 and sum(part_name(folder) is not None for folder in folders) < 2:
        return None
    if not folders or not any(part_name(folder) for folder in folders):
        return None
    known = known_parts(folders, where)
    if not known:
        return None
    if outside := [name for name, folder in zip(names, first, strict=True) if not folder]:
        warn_left_out(where, outside, len(outside), "are in none of its parts")
    return [known.get(folder, "") for folder in first]


def warn_left_out(where: str, names: list[str], n: int, reason: str) -> None:
    """Warn of ``n`` files that are not used, for some of which there are names."""
    shown = ", ".join(names[:3]) + (", ..." if n > 3 else "")
    warnings.warn(
        f"{where}: {n} file{'s' if n > 1 else ''} left out that {reason if n > 1 else reason.replace('are', 'is')} "
        f"({shown}): move {'them' if n > 1 else 'it'} into one, or away",
        LongwayWarning,
        stacklevel=3,
    )
