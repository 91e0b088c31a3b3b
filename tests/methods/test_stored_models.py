"""Models that an earlier version saved, one of each method, still load and predict the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from longway import METHODS, load

STORED = Path(__file__).resolve().parents[1] / "stored" / "models-v0"
EXPECTED = json.loads((STORED / "expected.json").read_text(encoding="utf-8"))
IRIS = load_iris(return_X_y=True)[0].astype(np.float32)[::10]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_stored_model_predicts_as_it_did(name):
    model = load(STORED / f"{name}.safetensors")
    np.testing.assert_allclose(model.predict_proba(IRIS), EXPECTED[name], atol=1e-3)
    assert model.check() is model
    assert isinstance(model.caveats, tuple)


def test_there_is_one_of_each_method():
    assert set(EXPECTED) <= set(METHODS)
    assert len(EXPECTED) >= 26


def test_old_names_became_new_ones():
    inferred = load(STORED / "rwg.safetensors").group_inference_
    assert {"strategy", "caveats", "seed"} <= inferred.keys()
    assert not {"way", "doubts"} & inferred.keys()
