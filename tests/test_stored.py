"""Files of an earlier version still load: a feature folder and exported models (see also the tests of saved models)."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from longway import ERM, load_exported, read
from longway.methods._persistence import load

STORED = Path(__file__).parent / "stored"
IRIS = load_iris(return_X_y=True)[0].astype(np.float32)


def test_a_feature_folder_is_read():
    data = read(STORED / "features-v0", label="bird", attributes="place")
    assert data.X.shape == (8, 12)
    assert data.X.dtype == np.float16
    assert set(data.y) == {"gull", "wren"}
    assert len(set(data.groups)) == 4
    ERM().fit(np.asarray(data.X), data.y)


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_an_exported_model_predicts_as_it_did(suffix):
    probabilities = load_exported(STORED / "exported-v0" / f"erm.{suffix}").predict_proba(IRIS[::10])
    expected = load(STORED / "exported-v0" / "erm.safetensors").predict_proba(IRIS[::10])
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
