"""Raw files: where they are looked for, and what is said where they are not."""

from __future__ import annotations

import io
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from longway.datasets import BENCHMARKS
from longway.datasets import _files as raw
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.storage import cache_root, hash_file

REAL_DOWNLOAD = raw.download


def test_the_named_folder_comes_before_the_cache(folder):
    for place, text in ((cache_root() / "data", "cache"), (folder, "own")):
        place.mkdir(parents=True, exist_ok=True)
        (place / "a.bin").write_text(text)
    assert raw.fetch("A", "a.bin", []).read_text() == "own"
    (folder / "a.bin").unlink()
    assert raw.fetch("A", "a.bin", []).read_text() == "cache"


def test_what_is_absent_is_downloaded_into_the_cache(folder, monkeypatch):
    def write(url: str, path: Path) -> None:
        if "first" in url:
            raise TimeoutError("timed out")
        path.parent.mkdir(parents=True)
        path.write_text(url)

    monkeypatch.setattr(raw, "download", write)
    path = raw.fetch("A", "a.bin", ["https://first/a", "https://second/a"])
    assert path == cache_root() / "data" / "a.bin"
    assert path.read_text() == "https://second/a"


class Answer(io.BytesIO):
    def __init__(self, content: bytes, length: int | None) -> None:
        super().__init__(content)
        self.headers = Message()
        if length is not None:
            self.headers["Content-Length"] = str(length)


@pytest.mark.parametrize(("length", "whole"), [(7, True), (None, True), (9, False)])
def test_a_download_is_whole_or_absent(tmp_path, monkeypatch, length, whole):
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Answer(b"content", length))
    if whole:
        REAL_DOWNLOAD("https://x/a", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == b"content"
    else:
        with pytest.raises(OSError, match="7 of 9 bytes came"):
            REAL_DOWNLOAD("https://x/a", tmp_path / "a")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cmnist", r"MNIST: there is no mnist/train-images.*; tried to download https://.*\(no network here\)"),
        (
            "dominoes",
            r"CIFAR-10: there is no cifar-10-binary\.tar\.gz .*tried to download https://.*cifar10_automobile",
        ),
        ("celeba", r"CelebA: there is no celeba or CelebA or celeba_10k_64px\.parquet .*https://mmlab"),
        ("waterbirds", r"Waterbirds: there is no waterbird_complete95_forest2water2 or .*https://nlp\.stanford"),
        ("metashift", r"MetaShift.*: there is no MetaShift-Cat-Dog"),
        ("camelyon17", r"Camelyon17-WILDS: there is no camelyon17_v1\.0"),
        ("utkface", r"UTKFace: there is no UTKFace or utkface"),
        ("multinli", r"MultiNLI: there is no multinli"),
        ("civilcomments", r"CivilComments-WILDS: there is no civilcomments_v1\.0"),
    ],
)
def test_a_missing_file_is_told_in_one_line(folder, name, says):
    for ask in (lambda: BENCHMARKS[name]().build(0), BENCHMARKS[name]().raw_fingerprint):
        with pytest.raises(LongwayError, match=says) as caught:
            ask()
        message = str(caught.value)
        assert "\n" not in message
        assert f"put it into {folder} by hand" in message


def test_another_content_is_refused(tmp_path):
    path = tmp_path / "a.bin"
    path.write_text("one")
    assert raw.verified(path, hash_file(path)) == raw.verified(path, "") == path
    with pytest.raises(CorruptFileError, match=r"a\.bin is not the file it should be"):
        raw.verified(path, "0" * 40)


def test_a_hash_is_computed_once_for_each_state_of_a_file(tmp_path, monkeypatch):
    path, calls = tmp_path / "a.bin", []
    monkeypatch.setattr(raw, "hash_file", lambda file: calls.append(file) or hash_file(file))
    path.write_text("one")
    first = raw.content_hash(path)
    assert raw.content_hash(path) == first
    assert len(calls) == 1
    path.write_text("another")
    assert raw.content_hash(path) != first
