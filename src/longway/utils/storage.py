"""Atomic files and folders, content hashes, and arrays larger than memory."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path

from longway.utils.errors import LongwayError

if TYPE_CHECKING:
    from torch import nn

IN_MEMORY_BYTES = 256 * 2**20
"""Arrays up to this size are allocated in memory, larger ones in a scratch file."""

_CHUNK_BYTES = 2**24
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def cache_root() -> Path:
    """Return the cache folder: ``$LONGWAY_CACHE``, else the platform's default."""
    if chosen := os.environ.get("LONGWAY_CACHE"):
        return Path(chosen).expanduser()
    return user_cache_path("longway", appauthor=False)


def is_full(error: BaseException) -> bool:
    """Return whether an error means that a disk, quota or file-size limit is exhausted."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turn errors of the operating system while ``path`` is written into one clear line.

    Raises
    ------
    LongwayError
        The disk (or the quota) is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise LongwayError(f"no space left to write {path}: free some space or choose another path") from error
        if (
            isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError | FileExistsError)
            or error.errno == errno.EROFS
        ):
            raise LongwayError(f"cannot write {path} ({error.strerror}): choose another path") from error
        raise


def _partial(path: Path, name: str | None = None) -> Path:
    """Name the temporary sibling of ``path``; nothing ever reads such a name."""
    return path.with_name(f".{path.name}.partial-{name or secrets.token_hex(6)}")


def _sync(path: Path) -> None:
    """Sync a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    with suppress(OSError):  # Windows and some network disks cannot sync a folder
        _sync(path)


@contextmanager
def atomic_file(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write a file atomically.

    Parameters
    ----------
    path : str or Path
        The file; an old one is replaced, its folder is made if absent.
    mode : {"wb", "w"}
        Bytes, or UTF-8 text.

    Yields
    ------
    file object
        Open for writing. If the body raises, nothing is left and an old file stays as it was.

    Raises
    ------
    LongwayError
        There is no space, or no permission to write.
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(path)
        try:
            with partial.open(mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextmanager
def sole_writer(path: str | Path) -> Iterator[None]:
    """Hold a lock on a path while the body runs.

    Raises
    ------
    LongwayError
        The folder of ``path`` cannot be written to.
    """
    path = Path(path)
    file = path.with_name(f".{path.name}.lock")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        lock.acquire()
    try:
        yield
    finally:
        file.unlink(missing_ok=True)  # while it is held: who waits for it sees that it is gone, and makes another
        lock.release()


@contextmanager
def atomic_directory(path: str | Path, *, overwrite: bool = False, resume: str | None = None) -> Iterator[Path]:
    """Build a folder atomically.

    Parameters
    ----------
    path : str or Path
        The folder to make.
    overwrite : bool, default False
        Replace a folder that is there already; else it is an error, and stays as it was.
    resume : str, optional
        Key of the work. What a body of the same key wrote before it failed, was killed or interrupted is there again
        (unless the disk was full); the body has to tell what of it is whole, and must be the path's `sole_writer`.

    Yields
    ------
    Path
        A sibling to write into, empty where there is nothing to resume; it takes the name ``path`` when the body ends,
        and goes if the body raises, unless it is to be resumed.

    Raises
    ------
    LongwayError
        ``path`` exists (without ``overwrite``), is a file, or there is no space or permission to write.
    """
    path = Path(path)
    if path.is_file():
        raise LongwayError(f"{path} is a file, not a folder: choose another path")
    if path.exists() and not overwrite:
        raise LongwayError(f"{path} exists already: choose another path, or overwrite=True to replace it")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(path, resume and resume[:12])
        partial.mkdir(exist_ok=resume is not None)
        try:
            yield partial
            for file in partial.rglob("*"):
                _sync(file) if file.is_file() else _sync_folder(file)
            _sync_folder(partial)
            _swap(partial, path)
        except BaseException as error:
            if resume is None or is_full(error):
                shutil.rmtree(partial, ignore_errors=True)
            else:  # what there is may be resumed
                with suppress(OSError):
                    partial.rmdir()
            raise
        if resume is not None:
            _clear_partials(path)
        _sync_folder(path.parent)


def _clear_partials(path: Path) -> None:
    """Remove leftovers of killed, never resumed writers of a folder; only its sole writer may."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}.partial-"):
            shutil.rmtree(left, ignore_errors=True)


def _swap(partial: Path, path: Path) -> None:
    """Rename a finished folder into place; an old one moves aside first, as no rename replaces a full folder."""
    old = _partial(path)
    with suppress(FileNotFoundError):
        path.rename(old)
    try:
        partial.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_json(path: str | Path, value: object) -> None:
    """Write a value as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path, "w") as file:
        file.write(text + "\n")


def scratch_array(shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
    """Allocate an array: in memory, or a large one in a scratch file that is deleted with it.

    Returns
    -------
    ndarray of shape ``shape``
        A memmap above ``IN_MEMORY_BYTES``.

    Raises
    ------
    LongwayError
        There is no space for the file.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY_BYTES:
        return np.empty(shape, dtype)
    root = cache_root()
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as file:
            if hasattr(os, "posix_fallocate"):  # without room kept for it, a full disk would kill us with SIGBUS
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "w+", shape=shape)  # the mapping outlives the closed, nameless file


def new_hash() -> hashlib.blake2b:
    """Return the hash function of all keys (blake2b, 40 hexadecimal digits)."""
    return hashlib.blake2b(digest_size=20)


def hash_json(value: object) -> str:
    """Hash a value of plain JSON types; the order of keys does not matter.

    Examples
    --------
    >>> hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    True
    """
    digest = new_hash()
    digest.update(json.dumps(value, sort_keys=True, ensure_ascii=True).encode())
    return digest.hexdigest()


def hash_file(path: str | Path) -> str:
    """Hash the content of a file in chunks; its name does not matter."""
    digest = new_hash()
    with Path(path).open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def hash_folder(path: str | Path) -> str:
    """Hash the names and contents of all files below a folder, except hidden ones."""
    root = Path(path)
    files = {file.relative_to(root).as_posix(): file for file in root.rglob("*") if file.is_file()}
    names = sorted(name for name in files if not any(part.startswith(".") for part in name.split("/")))
    return hash_json([[name, hash_file(files[name])] for name in names])


def hash_array(array: np.ndarray) -> str:
    """Hash an array's dtype, shape and content in chunks, so that a memmap is never loaded whole.

    Raises
    ------
    TypeError
        The array holds Python objects, which have no content to speak of.
    """
    if array.dtype.hasobject:
        raise TypeError("an array of Python objects has no content hash")
    digest = new_hash()
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    rows = array.reshape(1, -1) if array.ndim == 0 else array
    step = max(1, _CHUNK_BYTES // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), step):
        piece = np.ascontiguousarray(rows[start : start + step])
        digest.update(piece.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def hash_module(module: nn.Module) -> str:
    """Hash the names, dtypes, shapes and values of a module's ``state_dict``."""
    import torch

    parts: list[list[object]] = []
    for name, value in sorted(module.state_dict().items()):
        if not isinstance(value, torch.Tensor):
            parts.append([name, repr(value)])
            continue
        raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        parts.append([name, str(value.dtype), list(value.shape), hash_array(raw)])
    return hash_json(parts)
