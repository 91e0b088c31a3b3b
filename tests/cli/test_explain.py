"""`longway explain` as a user runs it."""

from __future__ import annotations

import json
import shlex

from cli.birds import ROLES


def test_a_head_is_explained_and_its_command_runs(good, run, csv, tmp_path):
    head, out = tmp_path / "head.safetensors", tmp_path / "out"
    words = ("--label", "bird", "--split", "part", "--input", "f*")
    good("fit", "sitarhead", csv, *words, "--set", "axes=[0,2]", "--out", head)
    shown = good("explain", head, csv, "--out", out)
    assert "Axes, the one most correlated with the label first" in shown
    assert "Reliance on attributes" in shown
    record = json.loads((out / "explanation.json").read_text("utf-8"))
    assert record["flat"] == [0, 2]
    assert record["part"] == "test"
    assert "part" not in {each["attribute"].split(" ")[0] for each in record["reliance"]}
    assert "What SITARHead uses" in (out / "explanation.html").read_text("utf-8")
    command = shlex.split(record["axes"][0]["command"])
    assert command[:3] == ["longway", "fit", "sitarhead"]
    good(*command[1:], "--out", tmp_path / "named.safetensors")
    done = run("explain", tmp_path / "named.safetensors", csv, "--out", tmp_path / "again", "--json", "--quiet")
    assert done.json["flat"] == [record["axes"][0]["index"]]


def test_pictures_behind_features(good, bad, photos, encoders, tmp_path):
    features, head = tmp_path / "features", tmp_path / "head.safetensors"
    good("embed", photos, "--backbone", f"{encoders}:images", "--out", features)
    good("fit", "erm", features, *ROLES, "--out", head)
    explain = ("explain", head, features, "--out", tmp_path / "out", "--part", "all")
    good(*explain)
    page = tmp_path / "out" / "explanation.html"
    assert "<img" not in page.read_text("utf-8")
    good(*explain, "--images", photos)
    assert "<img" in page.read_text("utf-8")
    good("explain", head, photos, "--backbone", f"{encoders}:images", "--out", tmp_path / "out")
    assert "<img" in page.read_text("utf-8")
    message = bad(*explain, "--images", features)
    assert message == f"{features} holds features: give the images or texts behind them with --images"
    assert "--decoder draws the edits of HSFM" in bad(*explain, "--decoder", "x")


def test_networks_side_by_side(good, bad, photos, tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second")]
    for path, seed in zip(paths, (0, 1), strict=True):
        good("fit", "erm", photos, *ROLES, "--set", "epochs=1", "--set", f"random_state={seed}", "--out", path)
    explain = ("explain", paths[1], photos, "--out", tmp_path / "out", "--part", "all")
    shown = good(*explain, "--beside", paths[0])
    assert "first" in shown
    record = json.loads((tmp_path / "out" / "explanation.json").read_text("utf-8"))
    assert list(record["accuracy"]) == ["first", "second"]
    assert list(record["heat"][0]["predicted"]) == ["first", "second"]
    assert bad(*explain, "--beside", paths[1]) == "--beside names a model twice: give each file once"
    assert "takes the images: leave it out" in bad(*explain, "--images", photos)


def test_bad_input(bad, model, csv, tmp_path):
    out = ("--out", tmp_path / "out")
    assert "no such file" in bad("explain", tmp_path / "none", csv, *out)
    assert "part='tset' is no part of" in bad("explain", model, csv, *out, "--part", "tset")
