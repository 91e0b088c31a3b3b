"""MNIST and CIFAR-10 in every form in which people have them."""

from __future__ import annotations

import gzip
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longway.datasets import classics, dominoes
from longway.datasets.classics import CIFAR_VEHICLES, FASHION_MNIST, IDX, MNIST, Arrays, read_idx
from longway.datasets.dominoes import Dominoes
from longway.utils.errors import CorruptFileError, LongwayError

from .helpers import fingerprints, sizes


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def small(n: int = 40, seed: int = 0) -> Arrays:
    generator = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.uint8) % 10
    images = generator.integers(0, 256, (2, n, 28, 28)).astype(np.uint8)
    return Arrays(images[0], labels, images[1], labels)


def write_idx(folder: Path, data: Arrays, *, packed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(IDX, data, strict=True):
        if packed:
            (folder / name).write_bytes(gzip.compress(idx(array), 1))
        else:
            (folder / name[:-3]).write_bytes(idx(array))


@pytest.mark.parametrize(("place", "packed"), [("", True), ("mnist", False), ("MNIST/raw", True)])
def test_mnist_from_its_four_files(folder, place, packed):
    write_idx(folder / place, small(), packed=packed)
    anything = replace(MNIST, expected="")
    for found, meant in zip(anything.read(), small(), strict=True):
        np.testing.assert_array_equal(found, meant)
    assert anything.fingerprint() == small().content


def test_mnist_from_npz_is_the_same(folder):
    np.savez(folder / "mnist.npz", **small()._asdict())
    assert replace(MNIST, expected="").fingerprint() == small().content


def test_what_is_not_mnist_is_refused(folder):
    np.savez(folder / "mnist.npz", **small()._asdict())
    with pytest.raises(CorruptFileError, match=r"mnist\.npz does not hold MNIST"):
        MNIST.read()


def test_real_mnist_is_the_same_from_its_four_files(real, folder, monkeypatch):
    monkeypatch.setenv("LONGWAY_DATA", str(real))
    data = MNIST.read()
    monkeypatch.setenv("LONGWAY_DATA", str(folder))
    write_idx(folder / "mnist", data, packed=False)
    assert MNIST.read().content == MNIST.expected


BAD_IDX = [
    (b"", "no idx file"),
    (b"\0\0\x0d\x01\0\0\0\1\0\0\0\0", "no idx file"),
    (idx(np.zeros((3, 2), np.uint8))[:-1], "cannot reshape"),
    (b"\0\0\x08\x03\0\0", "buffer"),
]


@pytest.mark.parametrize(("content", "says"), BAD_IDX)
def test_bad_idx_files(tmp_path, content, says):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read_idx(tmp_path / "x")


def test_damage_is_told_in_one_line(folder):
    write_idx(folder, small())
    (folder / IDX[0]).write_bytes((folder / IDX[0]).read_bytes()[:500])
    with pytest.raises(CorruptFileError, match=r"cannot be read \(.*get it again") as caught:
        MNIST.read()
    assert "\n" not in str(caught.value)


def test_objects_are_never_unpickled(folder):
    np.savez(folder / "mnist.npz", **{**small()._asdict(), "x_train": np.array([{}], object)})
    with pytest.raises(CorruptFileError, match="allow_pickle=False"):
        MNIST.read()


@pytest.fixture
def batches() -> list[bytes]:
    """Return six batches of 20 rows in the binary format of CIFAR-10."""
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 256, (6, 20, 3073)).astype(np.uint8)
    rows[:, :, 0] = np.arange(20) % 10
    return [batch.tobytes() for batch in rows]


def write_folder(folder: Path, batches: list[bytes]) -> None:
    (folder / "cifar-10-batches-bin").mkdir()
    for name, content in zip(classics._CIFAR_BATCHES, batches, strict=True):
        (folder / "cifar-10-batches-bin" / name).write_bytes(content)


def write_archive(folder: Path, batches: list[bytes]) -> None:
    write_folder(folder, batches)
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        archive.add(folder / "cifar-10-batches-bin", "cifar-10-batches-bin")
    (folder / "cifar-10-batches-bin").rename(folder / "elsewhere")


def write_subset(folder: Path, batches: list[bytes]) -> None:
    rows = np.frombuffer(b"".join(batches), np.uint8).reshape(-1, 3073)
    train, test = (part[np.isin(part[:, 0], (1, 9))] for part in (rows[:100], rows[100:]))
    shuffled = np.random.default_rng(1).permutation(len(train))
    arrays = {"y_train": train[shuffled, 0], "y_test": test[:, 0]}
    for name, part in (("x_train", train[shuffled]), ("x_test", test)):
        arrays[name] = np.moveaxis(part[:, 1:].reshape(-1, 3, 32, 32), 1, 3)
    np.savez(folder / "cifar10_automobile_truck.npz", **arrays)


def test_cifar_is_the_same_in_every_form_and_order(tmp_path, folder, monkeypatch, batches):
    found = []
    for write in (write_folder, write_archive, write_subset):
        here = tmp_path / write.__name__
        here.mkdir()
        monkeypatch.setenv("LONGWAY_DATA", str(here))
        write(here, batches)
        found.append(replace(CIFAR_VEHICLES, expected="").read())
    assert found[0].x_train.shape == (20, 3, 32, 32)
    assert found[0].y_test.tolist() == [1, 1, 9, 9]
    assert len({data.content for data in found}) == 1
    rows = np.frombuffer(batches[5], np.uint8).reshape(20, 3073)
    assert {row.tobytes() for row in rows[rows[:, 0] == 9, 1:]} == {row.tobytes() for row in found[0].x_test[2:]}


def test_an_incomplete_folder_is_named(folder, batches):
    write_folder(folder, batches)
    (folder / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    with pytest.raises(LongwayError, match=r"cifar-10-batches-bin lacks data_batch_3\.bin"):
        CIFAR_VEHICLES.read()


def test_fashion_dominoes(folder, monkeypatch):
    write_idx(folder / "fashion-mnist", small(200, seed=1))
    write_idx(folder / "mnist", small(200))
    assert FASHION_MNIST.read().content == small(200, seed=1).content
    monkeypatch.setattr(dominoes, "MNIST", replace(MNIST, expected=""))
    benchmark = Dominoes(top="fashion", correlation=0.75)
    parts = benchmark.build(0)
    assert sizes(parts["train"]) == {"coat, 0": 12, "coat, 1": 4, "dress, 0": 4, "dress, 1": 12}
    assert parts["test"].X.shape == (40, 1, 56, 28)
    assert fingerprints(parts) == fingerprints(benchmark.build(0))
    coats = {row.tobytes() for row in small(200, seed=1).x_test[small(200).y_test == 4]}
    assert {row.tobytes() for row in parts["test"].X[parts["test"].y == 0, 0, :28]} == coats
    ones = {row.tobytes() for row in small(200).x_test[small(200).y_test == 1]}
    assert {row.tobytes() for row in parts["test"].X[parts["test"].attributes["digit"] == 1, 0, 28:]} == ones
