"""CONTRIBUTING.md: its worked example is followed literally."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import battery
import numpy as np
import pytest
from battery import RARE, Row, planted
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.utils.estimator_checks import check_estimator

from longway import ERM, LongwayError, evaluate_groups, save
from longway.methods import _registry
from longway.methods._persistence import load
from longway.methods._registry import Registry

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SOURCE, ROW = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
X, y = load_iris(return_X_y=True)


@pytest.fixture
def method(tmp_path, monkeypatch):
    """Return the class of the example, registered for the length of a test."""
    registry = Registry()
    for module in (_registry, __import__("longway.methods._persistence", fromlist=["METHODS"])):
        monkeypatch.setattr(module, "METHODS", registry)
    path = tmp_path / "logit_adjustment.py"
    path.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("logit_adjustment", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "logit_adjustment", module)
    spec.loader.exec_module(module)
    return module.LogitAdjustment


def test_the_example_is_as_short_as_it_says(method):
    body = SOURCE.split('"""')[-1]
    assert len([line for line in body.splitlines() if line.strip()]) <= 21


def test_it_is_registered_and_its_parameters_are_checked(method):
    assert _registry.METHODS["logitadjustment"] is method
    assert "tau" in method.search_space()
    with pytest.raises(LongwayError, match="tau=-1 must be a number, 0 or more"):
        method(tau=-1).fit(X, y)


def test_scikit_learn_contract(method):
    check_estimator(method(), on_fail="raise", on_skip=None)


def test_it_is_saved_and_loaded(method, tmp_path):
    fitted = method(tau=0.5).fit(X, y)
    save(fitted, tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").predict_proba(X), fitted.predict_proba(X))


def test_its_row_of_the_battery_lifts_the_rare_class(method):
    row = eval(
        f"dict({ROW.strip().removesuffix(',').replace(':', '=', 1).replace(chr(34), '', 2)})",
        {"Row": Row, "LogitAdjustment": method, "ERM": ERM, "RARE": RARE},
    )["logitadjustment"]
    train, test = planted(row, 2000, 0.5, 0), planted(row, 4000, 0.5, 2)
    worst = [
        evaluate_groups(test.y, clone(rival).fit(train.X, train.y).predict(test.X)).worst_class_accuracy
        for rival in row.rivals
    ]
    assert worst[0] > worst[1] + row.margin


def test_every_file_it_names_exists():
    for path in re.findall(r"`((?:src|tests|docs|tools)/[\w./-]+\.(?:py|md))`", TEXT):
        assert path.endswith("logit_adjustment.py") or (ROOT / path).is_file(), path
    assert battery.ROWS
