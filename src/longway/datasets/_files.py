"""Finding raw files: in the user's folder, in the cache, else at the address where they are published."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.storage import atomic_file, cache_root, hash_file

TIMEOUT = 10
"""Seconds that a server may keep silent."""

_CHUNK_BYTES = 2**20
_T = TypeVar("_T")
_KNOWN: dict[tuple[object, ...], object] = {}


def folders() -> list[Path]:
    """Return where raw files are looked for: ``$LONGWAY_DATA`` if it is set, then ``data`` in Longway's cache."""
    own = cache_root() / "data"
    chosen = os.environ.get("LONGWAY_DATA")
    return [Path(chosen).expanduser(), own] if chosen else [own]


def find(*names: str) -> Path | None:
    """Return the first file or folder that is there: by folder first, then in the order of the names."""
    places = (folder / name for folder in folders() for name in names)
    return next((place for place in places if place.exists()), None)


def missing(what: str, names: Sequence[str], tried: str = "", obtain: str = "") -> LongwayError:
    """Return the error for raw data that are nowhere to be found.

    Parameters
    ----------
    what : str
        Name of the data.
    names : sequence of str
        Files or folders, any of which would do.
    tried : str, optional
        What came of the attempt to download it.
    obtain : str, optional
        Where to get it.
    """
    places = folders()
    looked = " and ".join(map(str, places))
    parts = [f"{what}: there is no {' or '.join(names)} in {looked}", tried, obtain]
    return LongwayError("; ".join(part for part in parts if part) + f"; put it into {places[0]} by hand")


def fetch(what: str, name: str, urls: Sequence[str]) -> Path:
    """Return a file, downloading it into the cache if it is nowhere.

    Parameters
    ----------
    what : str
        Name of the data, for messages.
    name : str
        File name, below one of `folders`.
    urls : sequence of str
        Where it is published; each is tried in turn.

    Raises
    ------
    LongwayError
        It is not there and cannot be downloaded.
    """
    if (found := find(name)) is not None:
        return found
    path, failed = folders()[-1] / name, []
    for url in urls:
        try:
            download(url, path)
            return path
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", "") or error).strip() or type(error).__name__
            failed.append(f"{url} ({reason})")
    raise missing(what, [name], "tried to download " + " and ".join(failed) if failed else "")


def download(url: str, path: Path) -> None:
    """Download a file so that it appears whole or not at all.

    Raises
    ------
    OSError, http.client.HTTPException
        The server cannot be reached, has no such file, or breaks off.
    LongwayError
        There is no space, or no permission to write.
    """
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, atomic_file(path) as file:
        length, done = answer.headers.get("Content-Length"), 0
        while piece := answer.read(_CHUNK_BYTES):
            file.write(piece)
            done += len(piece)
        if length is not None and done != int(length):
            raise urllib.error.ContentTooShortError(f"{done} of {length} bytes came", (str(path), answer.headers))


def verified(path: Path, expected: str) -> Path:
    """Return a file after making sure that its content is the expected one.

    Raises
    ------
    CorruptFileError
        It is another.
    """
    if expected and content_hash(path) != expected:
        raise CorruptFileError(f"{path} is not the file it should be: damaged, or of another version; get it again")
    return path


def content_hash(path: Path) -> str:
    """Return the content hash of a file, computed once as long as the file stays the same."""
    return once("content hash", [path], lambda: hash_file(path))


def once(what: str, paths: Sequence[Path], compute: Callable[[], _T]) -> _T:
    """Compute something from files, or return what came of it when they had the same paths, sizes and times."""
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    key = (what, *stamps)
    if key not in _KNOWN:
        _KNOWN[key] = compute()
    return _KNOWN[key]  # type: ignore[return-value]
