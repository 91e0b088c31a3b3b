"""A benchmark small enough to be run in seconds, and a plan for it."""

import numpy as np
import pytest

from longway.bench.plan import Plan, read_plan
from longway.datasets import make_planted_shortcut


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGWAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def own_data(tmp_path):
    """Write an npz of features with a planted shortcut; return what a plan says of it."""
    data = make_planted_shortcut(600, correlation=0.9, n_features=8)
    split = np.repeat(["train", "val", "test"], 200)
    np.savez(tmp_path / "own.npz", X=data.X.astype(np.float32), y=data.y, shortcut=data.shortcut, split=split)
    return {"source": str(tmp_path / "own.npz"), "label": "y", "attribute": "shortcut", "split": "split"}


RIDGE = {"l2": {"low": 1e-4, "high": 1.0, "log": True}}


@pytest.fixture
def record(own_data):
    """A plan as a TOML file would have it: 2 methods x 2 protocols x 2 seeds x 2 settings."""
    return {
        "seeds": 2,
        "draws": 2,
        "benchmark": [{**own_data, "title": "own"}],
        "method": [{"name": "erm", "space": RIDGE}, {"name": "rwg", "title": "Reweighted", "space": RIDGE}],
        "protocol": [{"groups": "val"}, {"groups": "train"}],
    }


@pytest.fixture
def plan(record) -> Plan:
    return read_plan(record)
