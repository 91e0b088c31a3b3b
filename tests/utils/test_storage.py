"""Atomic writes, content hashes, scratch arrays."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from longway.utils import storage
from longway.utils.errors import LongwayError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_and_replaces_the_old(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "två"):
        with storage.atomic_file(path, "w") as file:
            file.write(text)
            assert not path.exists() or path.read_text(encoding="utf-8") == "one"
        assert path.read_text(encoding="utf-8") == text
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError("body"), KeyboardInterrupt()])
def test_a_failed_file_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write() -> None:
        with storage.atomic_file(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_folder_appears_whole(tmp_path):
    path = tmp_path / "cache"
    with storage.atomic_directory(path) as partial:
        (partial / "deep").mkdir()
        (partial / "deep" / "x").write_text("1")
        assert partial.name.startswith(".cache.partial-")
        assert not path.exists()
    assert (path / "deep" / "x").read_text() == "1"
    with (
        pytest.raises(LongwayError, match=r"exists already: .* overwrite=True"),
        storage.atomic_directory(path),
    ):
        raise AssertionError("the body must not run")
    with storage.atomic_directory(path, overwrite=True) as partial:
        (partial / "y").write_text("2")
    assert names(path) == ["y"]
    assert names(tmp_path) == ["cache"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "cache"
    path.mkdir()
    (path / "x").write_text("old")

    def write() -> None:
        with storage.atomic_directory(path, overwrite=True) as partial:
            (partial / "x").write_text("new")
            raise RuntimeError("body")

    with pytest.raises(RuntimeError, match="body"):
        write()
    assert (path / "x").read_text() == "old"
    assert names(tmp_path) == ["cache"]


def test_a_folder_never_replaces_a_file(tmp_path):
    (tmp_path / "a").write_text("mine")
    with (
        pytest.raises(LongwayError, match="is a file, not a folder"),
        storage.atomic_directory(tmp_path / "a", overwrite=True),
    ):
        pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_clear_line(tmp_path, monkeypatch, code):
    def full(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LongwayError, match=r"no space left to write .*a\.json: free some space or choose"):
        storage.write_json(tmp_path / "a.json", 1)

    def write_folder() -> None:
        with storage.atomic_directory(tmp_path / "folder") as partial:
            (partial / "x").write_text("1")

    with pytest.raises(LongwayError, match=r"no space left to write .*folder: free some space or choose"):
        write_folder()
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_dev_full():
    with (
        pytest.raises(LongwayError, match="no space left to write /dev/full"),
        storage.disk_errors("/dev/full"),
        Path("/dev/full").open("wb", buffering=0) as file,
    ):
        file.write(b"x")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LongwayError, match=r"cannot write .*choose another path"):
        storage.write_json(tmp_path / "file" / "a.json", {})


WRITER = """
import sys, time
from pathlib import Path
from longway.utils.storage import atomic_file, atomic_directory
root = Path(sys.argv[1])
with atomic_directory(root / "folder", overwrite=True) as partial, atomic_file(root / "file") as file:
    (partial / "x").write_bytes(b"n" * 1000)
    file.write(b"n" * 1000); file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_kill_9_while_writing_leaves_what_was(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").write_bytes(b"old")
    (tmp_path / "file").write_bytes(b"old")
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / "folder" / "x").read_bytes() == b"old"
    assert (tmp_path / "file").read_bytes() == b"old"
    assert all(name.startswith(".") for name in names(tmp_path) if name not in {"folder", "file"})


def test_json_refuses_what_json_has_no_word_for(tmp_path):
    storage.write_json(tmp_path / "a.json", {"a": [1, "é"]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "a": [\n    1,\n    "é"\n  ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        storage.write_json(tmp_path / "b.json", float("nan"))
    assert names(tmp_path) == ["a.json"]


def test_file_and_folder_hashes_follow_the_content(tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "a").write_bytes(b"1")
    (tmp_path / "d" / "e" / "b").write_bytes(b"1")
    assert storage.hash_file(tmp_path / "d" / "a") == storage.hash_file(tmp_path / "d" / "e" / "b")
    first = storage.hash_folder(tmp_path / "d")
    os.utime(tmp_path / "d" / "a", (0, 0))
    (tmp_path / "d" / ".x.partial-1").write_bytes(b"half")
    assert storage.hash_folder(tmp_path / "d") == first
    (tmp_path / "d" / "a").rename(tmp_path / "d" / "c")
    assert storage.hash_folder(tmp_path / "d") != first


def test_array_hash_reads_pieces_and_sees_all(tmp_path, monkeypatch):
    array = np.random.default_rng(0).normal(size=(100, 7)).astype("float32")
    whole = storage.hash_array(array)
    np.save(tmp_path / "a.npy", array)
    monkeypatch.setattr(storage, "_CHUNK_BYTES", 100)
    assert storage.hash_array(np.load(tmp_path / "a.npy", mmap_mode="r")) == whole
    assert storage.hash_array(np.asfortranarray(array)) == whole
    others = [array.reshape(7, 100), array.astype("float64"), array[::-1], array.view("int32")]
    assert len({whole, *map(storage.hash_array, others)}) == 5
    assert storage.hash_array(np.array(["a", "b"])) != storage.hash_array(np.array(["a", "c"]))
    assert storage.hash_array(np.array(1.0)) != storage.hash_array(np.array([1.0]))
    assert storage.hash_array(np.empty((0, 3))) == storage.hash_array(np.empty((0, 3)))
    with pytest.raises(TypeError, match="Python objects"):
        storage.hash_array(np.array([None]))


def test_module_hash_follows_weights_and_names():
    def module(seed: int, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
        made = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).to(dtype)
        with torch.no_grad():
            made[0].weight.copy_(torch.arange(6).reshape(2, 3) + seed)
            made[0].bias.zero_()
        return made

    assert storage.hash_module(module(0)) == storage.hash_module(module(0))
    kinds = [module(0), module(1), module(0, torch.bfloat16), module(0)[0]]
    assert len({storage.hash_module(kind) for kind in kinds}) == 4


def test_large_scratch_arrays_live_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGWAY_CACHE", str(tmp_path / "cache"))
    assert not isinstance(storage.scratch_array((10, 10), "float32"), np.memmap)
    monkeypatch.setattr(storage, "IN_MEMORY_BYTES", 100)
    array = storage.scratch_array((10, 10), "float32")
    assert isinstance(array, np.memmap)
    array[:] = 3
    assert array.sum() == 300
    if sys.platform != "win32":
        assert names(tmp_path / "cache") == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve space")
def test_no_room_for_a_scratch_array(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGWAY_CACHE", str(tmp_path))
    with pytest.raises(LongwayError, match="no space left to write"):
        storage.scratch_array((2**58,), "uint8")


def test_the_cache_root_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("LONGWAY_CACHE", str(tmp_path))
    assert storage.cache_root() == tmp_path
    monkeypatch.delenv("LONGWAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert storage.cache_root() == tmp_path / "longway"
