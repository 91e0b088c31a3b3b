"""Detection of the kind of a source, and opening it with the `datasets` library."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longway.data.arrays import open_npz
from longway.data.delimited import csv_options, merged
from longway.data.feature_folder import is_cache, open_cache
from longway.data.image_folders import open_images, open_metadata, visible
from longway.data.splits import known_parts, part_name
from longway.data.table import Source, Table
from longway.utils.errors import CorruptFileError, LongwayError, nearest
from longway.utils.storage import hash_file, hash_json, is_full

if TYPE_CHECKING:
    import datasets

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})

_READERS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}

_NO_ROWS = ("no data rows", "corresponds to no data", "BatchSize must be greater than 0")
"""Messages of `datasets` for a CSV with only a header and for an empty Parquet file."""


def open_source(
    source: str | Path, *, input: str | None = None, hf_config: str | None = None, hf_split: str | None = None
) -> Source:
    """Open the file, folder or Hugging Face dataset that ``source`` names.

    Parameters
    ----------
    source : str or Path
        As for `longway.data.read`.
    input : str, optional
        The array of an npz that holds the inputs.
    hf_config, hf_split : str, optional
        Configuration and split of a Hugging Face dataset.

    Raises
    ------
    LongwayError
        Nothing of that name is there, or it cannot be read.
    """
    path = Path(source).expanduser()
    if path.is_file():
        _refuse_hub_options(source, hf_config, hf_split)
        return _open_file(path, input)
    if path.is_dir():
        if _is_saved(path):
            return _open_saved(path, hf_split)
        _refuse_hub_options(source, hf_config, hf_split)
        return open_cache(path) if is_cache(path) else _open_folder(path)
    if _looks_like_a_path(str(source)):
        raise LongwayError(f"there is no file or folder {source}{_neighbour(path)}")
    return _open_hub(str(source), hf_config, hf_split)


def _refuse_hub_options(source: str | Path, hf_config: str | None, hf_split: str | None) -> None:
    for name, value in {"hf_config": hf_config, "hf_split": hf_split}.items():
        if value is not None:
            raise LongwayError(f"{name}={value!r} is for Hugging Face datasets, but {source} is a local file or folder")


def _looks_like_a_path(source: str) -> bool:
    known = Path(source).suffix.lower() in {*_READERS, ".npz", *IMAGE_SUFFIXES, ".npy", ".json", ".zip", ".txt"}
    return known or source.startswith((".", "/", "~")) or "\\" in source or source.count("/") > 1 or source == ""


def _neighbour(path: Path) -> str:
    if not path.parent.is_dir():
        return f": there is no folder {path.parent} either"
    names = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    hint = nearest(path.name, names).split("?")[0] if names else ""
    return f"; {hint}?" if hint.startswith("did you mean") else ": check the spelling"


@contextmanager
def _reading(name: str, what: str) -> Iterator[None]:
    """Silence `datasets`, and turn its errors over damaged files into one line."""
    import datasets
    from datasets.utils import logging

    level, bars = logging.get_verbosity(), datasets.are_progress_bars_disabled()
    logging.set_verbosity(logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        yield
    except (LongwayError, MemoryError):
        raise
    except Exception as error:
        cause = error.__cause__ or error
        if is_full(cause):
            cache = datasets.config.HF_DATASETS_CACHE
            raise LongwayError(
                f"no space left to write {cache}, where {name} is unpacked: free some space or set HF_DATASETS_CACHE "
                "to another folder"
            ) from error
        reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
        message = f"{name} cannot be read as {what} ({reason}): is it damaged, or of another kind?"
        raise CorruptFileError(message) from error
    finally:
        logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()


def _open_file(path: Path, input: str | None) -> Source:
    if path.stat().st_size == 0:
        raise CorruptFileError(f"{path} is empty: write it again")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return open_npz(path, input)
    if suffix not in _READERS:
        raise LongwayError(
            f"{path} is of a kind that cannot be read ({suffix or 'no ending'}): give an image folder, a CSV, TSV, "
            "Parquet or npz file, a feature cache or the name of a Hugging Face dataset"
        )
    return Source(str(path), Table(_load(str(path), suffix, {"train": [path]})["train"]), root=path.parent)


def _load(name: str, suffix: str, files: dict[str, list[Path]]) -> datasets.DatasetDict:
    import datasets

    reader = _READERS[suffix]
    patterns = {part: [glob.escape(str(file.resolve())) for file in listed] for part, listed in files.items()}
    # The cache of `datasets` goes by path and time; another file of the same name and time must not be mistaken.
    content = hash_json([[str(file), hash_file(file)] for listed in files.values() for file in listed])
    with _reading(name, suffix[1:].upper()):
        try:
            options = _csv_options([file for listed in files.values() for file in listed]) if reader == "csv" else {}
            loaded = datasets.load_dataset(reader, f"longway-{content[:16]}", data_files=patterns, **options)
        except Exception as error:
            if any(words in str(error.__cause__ or error) for words in _NO_ROWS):
                raise LongwayError(f"{name} has no rows: give a source that has some") from error
            raise
    return _with_rows(name, loaded)


def _csv_options(files: list[Path]) -> dict[str, Any]:
    options: list[dict[str, Any]] = []
    for file in sorted(files, key=lambda file: part_name(file.stem.split("-")[0].split("_")[0]) is None):
        options.append(csv_options(file, list(options[0]["features"]) if options else None))
    return merged(options)


def _with_rows(name: str, parts: Any) -> Any:
    if not sum(len(rows) for rows in parts.values()):
        raise LongwayError(f"{name} has no rows: give a source that has some")
    return parts


def _open_folder(path: Path) -> Source:
    """Open a folder of images (with a metadata file, or with classes as sub-folders), or of CSV or Parquet parts."""
    files = visible(path)
    if metadata := _metadata(path):
        return open_metadata(path, metadata, lambda listed: _load(str(path), _ending(listed[0]), {"a": listed})["a"])
    if images := [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]:
        return open_images(path, images)
    for suffix in _READERS:
        if tables := [file for file in files if _ending(file) == suffix]:
            return _from_parts(str(path), _load(str(path), suffix, _by_part(path, tables)), path)
    raise LongwayError(
        f"the folder {path} has neither images, nor CSV or Parquet files, nor a saved dataset or feature cache in it"
    )


def _ending(file: Path) -> str:
    return file.suffix.lower()


def _metadata(path: Path) -> list[Path]:
    """Find the metadata file of a folder, or one in each of its parts."""
    folders = [path, *(entry for entry in sorted(path.iterdir()) if entry.is_dir() and part_name(entry.name))]
    found = [
        file
        for folder in folders
        for file in sorted(folder.iterdir())
        if file.is_file() and file.stem.lower() == "metadata" and _ending(file) in _READERS
    ]
    return found[:1] if found and found[0].parent == path else found


def _by_part(root: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """Assign files to train, val and test by their folder or the first word of their name; all to train if unclear."""
    parts: dict[str, list[Path]] = {}
    for file in files:
        first = file.relative_to(root).parts[0]
        part = part_name(first) or part_name(Path(first).stem.split("-")[0].split("_")[0])
        parts.setdefault(part or "", []).append(file)
    return {"train": sorted(files)} if "" in parts else parts


def _from_parts(name: str, parts: Any, root: Path | None = None) -> Source:
    """Concatenate the parts of a split; if there are several, a column names the part."""
    import datasets

    columns = next(iter(parts.values())).column_names
    label = "label" if isinstance(parts[next(iter(parts))].features.get("label"), datasets.ClassLabel) else None
    if len(parts) == 1:
        return Source(name, Table(next(iter(parts.values())), label), root=root)
    known = known_parts(parts, name)
    if not known:
        raise LongwayError(f"{name} has the splits {', '.join(parts)}: choose one of them with hf_split=")
    column = "split" if "split" not in columns else "_split"
    rows = []
    for part, word in known.items():
        table = parts[part]
        words = datasets.Dataset.from_dict({column: [word] * len(table)})
        rows.append(datasets.concatenate_datasets([table, words], axis=1))
    try:
        joined = datasets.concatenate_datasets(rows)
    except (ValueError, TypeError) as error:
        raise LongwayError(f"the splits of {name} have different columns: choose one of them with hf_split=") from error
    return Source(name, Table(joined, label, column), root=root)


def _is_saved(path: Path) -> bool:
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def _open_saved(path: Path, hf_split: str | None) -> Source:
    import datasets

    with _reading(str(path), "a saved dataset"):
        loaded = datasets.load_from_disk(path)
    return _chosen_part(str(path), loaded, hf_split, path)


def _chosen_part(name: str, loaded: Any, hf_split: str | None, root: Path) -> Source:
    import datasets

    parts = {"train": loaded} if isinstance(loaded, datasets.Dataset) else dict(loaded)
    if hf_split is not None and not isinstance(loaded, datasets.Dataset):
        if hf_split not in parts:
            raise LongwayError(f"{name} has no split {hf_split!r} (hf_split); {nearest(hf_split, parts)}")
        parts = {hf_split: parts[hf_split]}
    return _from_parts(name, _with_rows(name, parts), root)


def _open_hub(name: str, hf_config: str | None, hf_split: str | None) -> Source:
    import datasets

    try:
        with _reading(name, "a Hugging Face dataset"):
            loaded = datasets.load_dataset(name, hf_config)
    except CorruptFileError as error:
        cause = error.__cause__
        reason = str(cause).strip().splitlines()[0] if cause is not None and str(cause).strip() else str(error)
        raise LongwayError(
            f"there is no file or folder {name!r} here, and no Hugging Face dataset of that name could be loaded "
            f"({reason}): check the spelling; without a network, save the dataset elsewhere with save_to_disk and give "
            "its folder"
        ) from error
    return _chosen_part(name, loaded, hf_split, Path(datasets.config.HF_CACHE_HOME))
