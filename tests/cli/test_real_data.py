"""The main job on real input: CelebA faces through an ImageNet backbone, to a saved head and its group table."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from longway.data import read

GROUPS = [f"Wavy_Hair={hair}, Male={male}" for hair in (0, 1) for male in (0, 1)]


def test_celeba_through_mobilenet(tmp_path, good, shared_data):
    faces, features = shared_data / "celeba_10k_64px.parquet", tmp_path / "features"
    encoder = f"{shared_data / 'mobilenet_v2.py'}:load"
    options = ["--size", 64, "--mean", 0.5, "--std", 0.5]
    said = good("embed", faces, "--backbone", encoder, *options, "--limit", 1500, "--out", features)
    assert said == f"1,500 rows of 1,280 features of image in {features}\n"
    data = read(features, label="Wavy_Hair", attributes="Male", split_by="identity")
    identity = data.table.values("identity", "", "")
    people = [set(identity[data.split == part]) for part in data.parts]
    assert sum(map(len, people)) == len(set.union(*people)) == len(set(identity))
    roles = ["--label", "Wavy_Hair", "--attribute", "Male", "--split-by", "identity"]
    worst = {}
    for method in ("erm", "hsfm"):
        model = tmp_path / f"{method}.safetensors"
        good("fit", method, features, *roles, "--out", model)
        lines = good("evaluate", model, features).splitlines()
        assert lines[0] == f"{method.upper()} on the test part of {features}"
        shown = {name: line for line in lines for name in GROUPS if line.strip().startswith(name)}
        record = json.loads(good("evaluate", model, features, "--json"))
        assert record["n"] == data.parts["test"]
        assert record["average_accuracy"] > {"erm": 0.65, "hsfm": 0.5}[method]
        worst[method] = record["worst_group_accuracy"]
        for group in record["counts"]["groups"]:
            assert f"{group['low']:.1%} - {group['high']:.1%}" in shown[group["name"]]
    assert worst["hsfm"] > worst["erm"]
    # The same labels straight from the images; a feature may differ in its last bit, as batches do
    words = ["--out", tmp_path / "direct.csv", "--limit", 200]
    good("predict", model, faces, "--backbone", encoder, *words)
    good("predict", model, features, "--out", tmp_path / "cached.csv")
    direct, cached = (pd.read_csv(tmp_path / f"{name}.csv", index_col="id") for name in ("direct", "cached"))
    both = direct.index.intersection(cached.index)
    assert len(both) >= 10
    assert direct.loc[both, "prediction"].tolist() == cached.loc[both, "prediction"].tolist()
    np.testing.assert_allclose(direct.loc[both, "p(1)"], cached.loc[both, "p(1)"], atol=0.01)


def test_mnist_as_it_comes(tmp_path, good, shared_data):
    with np.load(shared_data / "mnist.npz") as file:
        np.savez(tmp_path / "digits.npz", X=file["x_train"][:600], y=file["y_train"][:600])
    good("fit", "erm", tmp_path / "digits.npz", "--set", "epochs=8", "--out", tmp_path / "m")
    assert json.loads(good("evaluate", tmp_path / "m", tmp_path / "digits.npz", "--json"))["average_accuracy"] > 0.6


@pytest.mark.parametrize("name", ["gone", "celeba_10k_64px.parquet"])
def test_what_is_no_model(bad, shared_data, name):
    said = bad("predict", shared_data / name, shared_data / "celeba_10k_64px.parquet")
    assert str(shared_data / name) in said


def test_a_published_table_beside_ours(tmp_path, good, run, shared_data, monkeypatch):
    monkeypatch.setenv("LONGWAY_DATA", str(shared_data))
    small = ["--option", "n_train=300", "--option", "size=14", "--set", "epochs=1", "--set", "first_epochs=1"]
    words = ["bench", "reproduce", "sitar-cmnist", *small, "--seeds", 1, "-j", 1, "-q", "-o", tmp_path / "r"]
    shown = " ".join(good(*words).split())
    assert "sitar-cmnist: published and here" in shown
    assert "300 training samples; n_train=300, size=14" in shown
    pairs = run(*words, "--json").json["published"]
    assert len(pairs) == 8, "four methods, two figures"
    assert all(pair["difference"] == pytest.approx(pair["ours"][0] - pair["theirs"][0], abs=1e-6) for pair in pairs)
    assert json.loads((tmp_path / "r" / "published.json").read_text())["pairs"] == pairs
    assert "Ours were run with" in (tmp_path / "r" / "report.html").read_text()
