"""Torch's global state, tensors and missing values: what callers set neither breaks nor changes a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from longway import METHODS, RWG, LongwayError, evaluate_groups
from longway.datasets import make_planted_shortcut

DATA = make_planted_shortcut(120, correlation=0.8, seed=0)
X = DATA.X.astype(np.float32)
IMAGES = np.random.default_rng(0).random((40, 3, 8, 8)).astype(np.float32)
FITS = {
    "erm": (X, {}),
    "hsfm": (X, {"epochs": 2, "n_refits": 1}),
    "sitarhead": (X, {}),
    "mlp": (X, {"hidden": (4,), "epochs": 1}),
    "images": (IMAGES, {"epochs": 1}),
    "sitar": (IMAGES, {"epochs": 1}),
}


def fitted(name):
    inputs, options = FITS[name]
    model = METHODS[{"mlp": "erm", "images": "erm"}.get(name, name)](**options)
    return model.fit(inputs, DATA.y[: len(inputs)]).predict_proba(inputs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FITS)
def test_torchs_global_state_changes_nothing(name):
    expected = fitted(name)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(fitted(name), expected)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            np.testing.assert_array_equal(fitted(name), expected)
            assert not torch.is_grad_enabled()


@pytest.mark.parametrize("change", [torch.Tensor.requires_grad_, torch.Tensor.bfloat16, torch.nn.Parameter])
def test_tensors_of_all_kinds_are_taken(change):
    inputs, y = torch.from_numpy(X.copy()), torch.from_numpy(DATA.y)
    model = METHODS["erm"]().fit(change(inputs), y)
    assert model.score(change(inputs), y) > 0.7
    assert evaluate_groups(y, model.predict(change(inputs)), torch.zeros(len(y), dtype=torch.int64)).n == len(y)


SOME = ["a", None, "b", "a"] * 30
MISSING = {
    "None in a list": SOME,
    "NaN in a list": [value or np.nan for value in SOME],
    "floats": [1.0, np.nan, 2.0, 1.0] * 30,
    "objects": pd.Series([value or np.nan for value in SOME], dtype=object),
    "string": pd.Series(SOME, dtype="string"),
    "category": pd.Series(SOME, dtype="category"),
    "Int64": pd.Series([1, None, 2, 1] * 30, dtype="Int64"),
    "array of objects": np.array(SOME, dtype=object),
}


@pytest.mark.parametrize("values", MISSING.values(), ids=MISSING)
def test_missing_groups_and_labels_are_refused_everywhere(values):
    with pytest.raises(LongwayError, match="groups holds missing values"):
        RWG().fit(X, DATA.y, groups=values)
    with pytest.raises(LongwayError, match="eval_set groups holds missing values"):
        RWG().fit(X, DATA.y, groups=DATA.groups, eval_set=(X, DATA.y, values))
    with pytest.raises(LongwayError, match="groups has missing labels"):
        evaluate_groups(DATA.y, DATA.y, values)
    with pytest.raises(LongwayError, match=r"y has no label at row 1 \(30 in all\): drop these rows"):
        RWG().fit(X, values, groups=DATA.groups)


def test_counts_of_a_series_go_by_name():
    counts = pd.Series(["b"] * 90 + ["a"] * 10).value_counts()
    metrics = evaluate_groups([0, 0, 1, 1], [0, 1, 1, 1], ["a", "a", "b", "b"], train_counts=counts)
    assert {group.name: group.train_n for group in metrics.groups} == {"a": 10, "b": 90}
