"""Folders of raw data: the real ones, or an empty one without a network."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest

from longway.datasets import _files as raw


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, path: Path) -> None:
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(raw, "download", refuse)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder in which raw data are looked for."""
    monkeypatch.setenv("LONGWAY_DATA", str(tmp_path / "raw"))
    monkeypatch.setenv("LONGWAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def real(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of real data, made known to the library."""
    monkeypatch.setenv("LONGWAY_DATA", str(shared_data))
    return shared_data
