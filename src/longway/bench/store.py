"""A result folder: one file per trial, written atomically, shared by any number of processes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from longway._version import __version__
from longway.bench.spec import FORMAT, TrialSpec
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.json_input import parse_json
from longway.utils.rules import Choice
from longway.utils.schema import Each, Maybe, misfit
from longway.utils.storage import disk_errors, write_json

MANIFEST = "bench.json"
LIBRARIES = ("torch", "numpy", "scikit-learn", "scipy")


def versions() -> dict[str, str]:
    """Return the versions that results may depend on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    return {"longway": __version__, "python": platform.python_version(), **{n: version(n) for n in LIBRARIES}}


class Busy(Exception):  # noqa: N818 - not an error: somebody else is at work on the same trial
    """Another process is running this trial."""


class Store:
    """The files of a benchmark run.

    ``trials/KEY.json`` holds what a fit and its validation gave, ``tests/KEY.json`` what the test data said of a fit
    that was chosen, ``models/KEY.safetensors`` the fitted method, ``data/HASH.json`` the groups of the test samples.

    Parameters
    ----------
    folder : str or Path
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @classmethod
    def create(cls, folder: str | Path, benchmarks: Mapping[str, str], *, allow_changes: bool = False) -> Store:
        """Open or create a folder for a run; raise if it belongs to something else.

        Parameters
        ----------
        folder : str or Path
        benchmarks : mapping of str to str
            Each benchmark of the run (`DataSpec.benchmark` and options, as words) with the hash of its raw data.
        allow_changes : bool, default False
            Go on in a folder whose results come from other versions of the libraries, or from other raw data.

        Raises
        ------
        LongwayError
            The folder holds something else, results of other benchmarks, versions or data.
        """
        store = cls(folder)
        path = store.folder / MANIFEST
        with disk_errors(store.folder):
            store.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(store.folder / ".lock"):
            if not path.exists():
                if any(not f.name.startswith(".") for f in store.folder.iterdir()):
                    raise LongwayError(f"{folder} holds files that are no benchmark results: choose another folder")
                known: dict[str, Any] = {"format": FORMAT, "versions": versions(), "benchmarks": {}}
            else:
                known = _read(path)
                store._check(known, benchmarks, allow_changes)
            known = {**known, "benchmarks": {**known["benchmarks"], **benchmarks}}
            if not path.exists() or known != _read(path):
                write_json(path, known)
        for name in ("trials", "tests", "models", "data", "locks", "running"):
            (store.folder / name).mkdir(exist_ok=True)
        return store

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open a folder of finished results for reading.

        Raises
        ------
        LongwayError
            There is no such folder, or it holds something else.
        """
        store = cls(folder)
        if not (store.folder / MANIFEST).is_file():
            raise LongwayError(f"{folder} holds no benchmark results: give the folder that `longway bench run` wrote")
        _read(store.folder / MANIFEST)
        return store

    def _check(self, known: Mapping[str, Any], benchmarks: Mapping[str, str], allow_changes: bool) -> None:
        if known.get("format") != FORMAT:
            raise LongwayError(f"{self.folder} was written by another version of Longway: choose another folder")
        if known["benchmarks"] and not known["benchmarks"].keys() & benchmarks.keys():
            raise LongwayError(
                f"{self.folder} holds results of another benchmark ({', '.join(known['benchmarks'])}): choose another "
                "folder"
            )
        if allow_changes:
            return
        way_out = "choose another folder, or allow changes to mix them knowingly"
        for name, now in versions().items():
            then = known["versions"].get(name)
            if then != now:
                raise LongwayError(f"{self.folder} holds results made with {name} {then}, and this is {now}: {way_out}")
        for name, raw in benchmarks.items():
            if known["benchmarks"].get(name, raw) != raw:
                raise LongwayError(f"{self.folder} holds results of {name} made from other raw data: {way_out}")

    def has(self, kind: str, key: str) -> bool:
        """Return whether a record of a kind ("trials", "tests", "data") exists."""
        return (self.folder / kind / f"{key}.json").exists()

    def keys(self, kind: str) -> set[str]:
        """Return the keys of all records of a kind."""
        with os.scandir(self.folder / kind) as entries:
            return {entry.name[:-5] for entry in entries if entry.name.endswith(".json")}

    def read(self, kind: str, key: str) -> dict[str, Any]:
        """Read a record.

        Raises
        ------
        CorruptFileError
            It is cut short or no record.
        """
        path = f"{self.folder}/{kind}/{key}.json"
        record = _read(path)
        if damage := misfit(record, _SCHEMAS[kind]):
            raise CorruptFileError(
                f"{path} is damaged ({damage.strip('.')!r} is missing or of another type): delete it, and the same "
                "command will make it again"
            )
        return record

    def read_named(self, name: str) -> dict[str, Any]:
        """Read a file of the folder itself, such as ``plan.json``."""
        return _read(self.folder / name)

    def write(self, kind: str, key: str, record: Mapping[str, Any]) -> None:
        """Write a record atomically."""
        write_json(self.folder / kind / f"{key}.json", dict(record))

    def forget(self, kind: str, key: str) -> None:
        """Remove a record, if there is one."""
        (self.folder / kind / f"{key}.json").unlink(missing_ok=True)

    def model(self, key: str) -> Path:
        """Return the path of a fitted method."""
        return self.folder / "models" / f"{key}.safetensors"

    @contextmanager
    def claim(self, spec: TrialSpec) -> Iterator[None]:
        """Claim a trial while the body runs; the claim ends with the process.

        Raises
        ------
        Busy
            Another process has it.
        """
        lock = FileLock(self.folder / "locks" / spec.key)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise Busy from error
        marker = self.folder / "running" / spec.key
        try:
            marker.touch()
            yield
        finally:
            marker.unlink(missing_ok=True)
            lock.release()

    def died(self, keys: Iterable[str], kind: str) -> list[str]:
        """Return the trials whose process started a record of this kind and died without finishing it."""
        running = {path.name for path in (self.folder / "running").iterdir()}
        return [key for key in keys if key in running and not self.has(kind, key) and self._is_free(key)]

    def _is_free(self, key: str) -> bool:
        try:
            with FileLock(self.folder / "locks" / key, timeout=0):
                return True
        except Timeout:
            return False


_SCHEMAS = {
    "trials": {"status": Choice(("done", "failed")), "data_hash": Maybe(str)},
    "tests": {"parts": Each({"correct": str, "counts": dict})},
    "data": {"parts": Each(Each({"codes": str}))},
}


def _read(path: str | Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - ten thousand of them: a Path costs as much as the reading
            record = parse_json(file.read())
    except FileNotFoundError:
        raise LongwayError(f"{path} is not there: run the benchmark again") from None
    except (ValueError, OSError) as error:
        raise CorruptFileError(
            f"{path} is damaged or cut short: delete it, and the same command will make it again"
        ) from error
    if not isinstance(record, dict) or "format" not in record:
        raise CorruptFileError(f"{path} is no record of a benchmark: delete it, and the same command makes it again")
    return record
