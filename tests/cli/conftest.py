"""The command line, run as a user would, and small data of every kind to run it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli.birds import ENCODERS, ROLES, birds, draw

from longway.cli import main


@dataclass(frozen=True)
class Done:
    """What a run left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys, monkeypatch) -> Callable[..., Done]:
    """Run the command line in this process."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words: object) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        shown = capsys.readouterr()
        return Done(int(stop.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def good(run) -> Callable[..., str]:
    """Run a command that must succeed and complain of nothing; return what it printed."""

    def good(*words: object) -> str:
        done = run(*words)
        assert (done.status, done.err) == (0, ""), done.err
        return done.out

    return good


@pytest.fixture
def bad(run) -> Callable[..., str]:
    """Run a command that must fail with one clear line and nothing else; return what the line says."""

    def bad(*words: object) -> str:
        done = run(*words)
        assert (done.status, done.out) == (2, ""), done
        assert done.err.startswith("longway: error: ")
        assert done.err.count("\n") == 1
        assert done.err.endswith("\n")
        return done.err.removeprefix("longway: error: ").rstrip()

    return bad


@pytest.fixture
def csv(tmp_path) -> Path:
    """Return a CSV of birds."""
    birds().to_csv(tmp_path / "birds.csv", index=False)
    return tmp_path / "birds.csv"


@pytest.fixture
def model(tmp_path, csv, good) -> Path:
    """Return a linear head that was fitted on that CSV."""
    good("fit", "erm", csv, *ROLES, "--input", "f*", "--out", tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.fixture
def photos(tmp_path) -> Path:
    """Return a folder of PNGs with a metadata.csv."""
    table = birds(60)
    names = draw(tmp_path / "photos", table)
    kept = table[["bird", "place", "site", "part"]]
    kept.assign(file_name=names).to_csv(tmp_path / "photos" / "metadata.csv", index=False)
    return tmp_path / "photos"


@pytest.fixture
def encoders(tmp_path) -> Path:
    """Return a file of backbones."""
    (tmp_path / "encoders.py").write_text(ENCODERS)
    return tmp_path / "encoders.py"
