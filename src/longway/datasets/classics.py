"""MNIST, Fashion-MNIST and two classes of CIFAR-10, in any of their usual file formats."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longway.datasets._files import fetch, find, once
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.storage import hash_array, hash_json

IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
"""The four original files; Fashion-MNIST uses the same names and needs its own folder."""

AUTOMOBILE, TRUCK = 1, 9
"""Labels of CIFAR-10."""

CIFAR_SUBSET = "cifar10_automobile_truck.npz"
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"
_CIFAR_BATCHES = (*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin")


class Arrays(NamedTuple):
    """Images (n, 28, 28) or (n, 3, 32, 32) and labels (n,), all uint8."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def content(self) -> str:
        """Content hash, independent of the file format."""
        return hash_json([hash_array(array) for array in self])


@dataclass(frozen=True)
class Classic:
    """A data set with several file formats.

    Parameters
    ----------
    title : str
    locate : callable
        Returns the files to read, after downloading them if need be.
    parse : callable
        Reads those files.
    expected : str
        Content hash of the arrays; empty where it is not known.
    """

    title: str
    locate: Callable[[], list[Path]]
    parse: Callable[[list[Path]], Arrays]
    expected: str = ""

    def read(self) -> Arrays:
        """Return the arrays.

        Raises
        ------
        LongwayError
            The files are missing and cannot be downloaded.
        CorruptFileError
            They are damaged, or hold something else.
        """
        paths = self.locate()
        with _damaged_if_unreadable(paths[0]):
            arrays = self.parse(paths)
        found = once(self.title, paths, lambda: arrays.content)
        if self.expected and found != self.expected:
            raise CorruptFileError(
                f"{paths[0]} does not hold {self.title}: damaged, or of another version; get it again"
            )
        return arrays

    def fingerprint(self) -> str:
        """Return the content hash of the arrays, cached while the files are unchanged."""
        return once(self.title, self.locate(), lambda: self.read().content)


@contextmanager
def _damaged_if_unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except LongwayError:
        raise
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise CorruptFileError(f"{path} cannot be read ({error}): damaged or of another kind; get it again") from error


def _locate_idx(title: str, npz: str, places: tuple[str, ...], urls: tuple[str, ...]) -> list[Path]:
    """Find the npz or the four original files, compressed or not; download those if nothing is there."""
    if (whole := find(npz)) is not None:
        return [whole]
    found = [find(*(place + form for place in places for form in (name, name[:-3]))) for name in IDX]
    paths = [path for path in found if path is not None]
    if len(paths) == len(IDX):
        return paths
    try:
        return [fetch(title, places[0] + name, [url + name for url in urls]) for name in IDX]
    except LongwayError as error:
        raise LongwayError(f"{error} (all four of {places[0]}*-ubyte.gz, or {npz})") from error


def parse_digits(paths: list[Path]) -> Arrays:
    """Read an npz with the four arrays by their usual names, or the four original files."""
    if len(paths) == 1:
        with np.load(paths[0], allow_pickle=False) as file:
            return Arrays(*(np.ascontiguousarray(file[name], np.uint8) for name in Arrays._fields))
    return Arrays(*map(read_idx, paths))


def read_idx(path: Path) -> np.ndarray:
    """Read an array of bytes in MNIST's file format, gzipped or not.

    Raises
    ------
    ValueError
        It is of another format, or its length is not the one its header tells.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        data = file.read()
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError("no idx file of bytes")
    shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape.astype(np.int64))


def _locate_cifar() -> list[Path]:
    """Find the two classes alone, the extracted folder or the archive; download the archive if nothing is there."""
    if (path := find(CIFAR_SUBSET, CIFAR_FOLDER, CIFAR_ARCHIVE)) is None:
        try:
            path = fetch("CIFAR-10", CIFAR_ARCHIVE, [f"https://www.cs.toronto.edu/~kriz/{CIFAR_ARCHIVE}"])
        except LongwayError as error:
            raise LongwayError(f"{error} (or the folder {CIFAR_FOLDER} in it, or {CIFAR_SUBSET})") from error
    if not path.is_dir():
        return [path]
    batches = [path / name for name in _CIFAR_BATCHES]
    for batch in batches:
        if not batch.is_file():
            raise LongwayError(f"CIFAR-10: {path} lacks {batch.name}; unpack {CIFAR_ARCHIVE} again")
    return batches


def parse_cifar_vehicles(paths: list[Path]) -> Arrays:
    """Read automobiles and trucks from an npz of them, the binary version's archive or its batches.

    Their order is that of their pixels, so that it is the same from every form.
    """
    if paths[0].suffix == ".npz":
        with np.load(paths[0], allow_pickle=False) as file:
            x_train, y_train, x_test, y_test = (np.asarray(file[name], np.uint8) for name in Arrays._fields)
        x_train, x_test = (np.moveaxis(x, 3, 1) for x in (x_train, x_test))
    else:
        batches = _from_archive(paths[0]) if len(paths) == 1 else [path.read_bytes() for path in paths]
        rows = [np.frombuffer(batch, np.uint8).reshape(-1, 1 + 3 * 32 * 32) for batch in batches]
        (x_train, y_train), (x_test, y_test) = (_unpacked(part) for part in (np.concatenate(rows[:-1]), rows[-1]))
    return Arrays(*_sorted(x_train, y_train), *_sorted(x_test, y_test))


def _from_archive(path: Path) -> list[bytes]:
    """Read the batches inside the archive without extracting it."""
    found: dict[str, bytes] = {}
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name in _CIFAR_BATCHES and (file := archive.extractfile(member)) is not None:
                found[name] = file.read()
    return [found[name] for name in _CIFAR_BATCHES]


def _unpacked(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Select the two classes from rows (n, 3073) of a label and three planes of pixels."""
    rows = rows[np.isin(rows[:, 0], (AUTOMOBILE, TRUCK))]
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]


def _sorted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = np.ascontiguousarray(np.concatenate([y[:, None], x.reshape(len(x), -1)], axis=1))
    order = np.argsort(flat.view(f"V{flat.shape[1]}").ravel(), kind="stable")
    return np.ascontiguousarray(x[order]), np.ascontiguousarray(y[order])


MNIST = Classic(
    "MNIST",
    lambda: _locate_idx(
        "MNIST",
        "mnist.npz",
        ("mnist/", "", "MNIST/raw/"),
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    ),
    parse_digits,
    "bdcb4f4a3aad1e437aaadab14fe01ba896de0a0f",
)
FASHION_MNIST = Classic(
    "Fashion-MNIST",
    lambda: _locate_idx(
        "Fashion-MNIST",
        "fashion-mnist.npz",
        ("fashion-mnist/", "FashionMNIST/raw/"),
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    ),
    parse_digits,
)
CIFAR_VEHICLES = Classic(
    "automobiles and trucks of CIFAR-10",
    _locate_cifar,
    parse_cifar_vehicles,
    "0bc8f17c45dc963ecbefd4cfa5f61546fc0e74fb",
)
