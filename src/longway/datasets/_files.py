"""Raw files: from the user's folder, the cache, or the published address."""

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
"""Seconds to wait for a silent server."""

_CHUNK_BYTES = 2**20
_T = TypeVar("_T")
_KNOWN: dict[tuple[object, ...], object] = {}


def folders() -> list[Path]:
    """Return the folders of raw files: ``$LONGWAY_DATA`` if set, then ``data`` in Longway's cache."""
    own = cache_root() / "data"
    chosen = os.environ.get("LONGWAY_DATA")
    return [Path(chosen).expanduser(), own] if chosen else [own]


def find(*names: str) -> Path | None:
    """Return the first existing file or folder: by folder first, then by name."""
    places = (folder / name for folder in folders() for name in names)
    return next((place for place in places if place.exists()), None)


def missing(what: str, names: Sequence[str], tried: str = "", obtain: str = "") -> LongwayError:
    """Return the error for missing raw data.

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
    """Return a file, downloaded into the cache if it is missing.

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
    """Download a file atomically.

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
    """Return a file after verifying its content.

    Raises
    ------
    CorruptFileError
        It is another.
    """
    if expected and content_hash(path) != expected:
        raise CorruptFileError(f"{path} is not the file it should be: damaged, or of another version; get it again")
    return path


def content_hash(path: Path) -> str:
    """Return the content hash of a file, cached while the file is unchanged."""
    return once("content hash", [path], lambda: hash_file(path))


def once(what: str, paths: Sequence[Path], compute: Callable[[], _T]) -> _T:
    """Compute a result from files, cached while their paths, sizes and times are unchanged."""
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    key = (what, *stamps)
    if key not in _KNOWN:
        _KNOWN[key] = compute()
    return _KNOWN[key]  # type: ignore[return-value]
