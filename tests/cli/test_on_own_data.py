"""fit, evaluate and predict on every kind of source a user may bring."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import datasets
import numpy as np
import pandas as pd
import pytest
from cli.birds import ROLES, birds, draw

import longway
from longway.backbones.preprocessing import InputSpec, match_inputs
from longway.data import read

FEATURES = ["f0", "f1", "f2"]
GROUPS = [f"bird={bird}, place={place}" for bird in ("land", "water") for place in ("sand", "sea")]


def check_all(good, folder, source, fit_options, new, *, method="erm", options=()):
    """Fit, evaluate and predict; what each says must agree with the others and with the Python API."""
    model, out = folder / "m.safetensors", folder / "predicted.csv"
    fitted = json.loads(good("fit", method, source, *fit_options, *options, "--out", model, "--json"))
    assert fitted["supervision"] == "none"
    backbone = [word for name, word in pairwise(options) if name == "--backbone"]
    again = ["--backbone", *backbone] if backbone else []
    shown = good("evaluate", model, source, *again)
    record = json.loads(good("evaluate", model, source, *again, "--json"))
    assert record["part"] == "test"
    counts = record["counts"]
    assert [group["name"] for group in counts["groups"]] == GROUPS
    for group in counts["groups"]:
        line = next(line for line in shown.splitlines() if line.strip().startswith(group["name"]))
        assert f" {group['n']} " in line
        assert f"{group['accuracy']:.1%}" in line
        assert f"{group['low']:.1%} - {group['high']:.1%}" in line
    assert f"worst group {record['worst_group_accuracy']:.1%} ({record['worst_group']})" in shown
    good("predict", model, new, *again, "--out", out)
    table = pd.read_csv(out)
    assert table.columns.tolist() == ["id", "prediction", "p(land)", "p(water)"]
    loaded, about = longway.load(model), longway.describe(model)["about"]
    form = InputSpec.from_dict(about["form"])
    data = read(new, input=list(form.columns) or None, fractions=None)
    X = match_inputs(data, form, backbone=backbone[0] if backbone else None, verbose=0).X
    assert table["prediction"].tolist() == loaded.predict(X).tolist()
    np.testing.assert_allclose(table[["p(land)", "p(water)"]], loaded.predict_proba(X), atol=1e-5)
    assert table["id"].tolist() == data.ids.tolist()
    return record


def unlabelled(table: pd.DataFrame) -> pd.DataFrame:
    """Return only the features, in another order and beside a column that the fit did not see."""
    return table[FEATURES[::-1]].assign(f9=1.0)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "saved"])
def test_tables(tmp_path, good, kind):
    tables = {"birds": birds(), "new": unlabelled(birds(30, seed=9))}
    for name, table in tables.items():
        if kind == "csv":
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        elif kind == "parquet":
            table.to_parquet(tmp_path / f"{name}.parquet")
        elif kind == "npz":
            columns = {column: table[column].to_numpy(str) for column in table if column not in (*FEATURES, "f9")}
            np.savez(tmp_path / f"{name}.npz", X=table[FEATURES].to_numpy(), **columns)
        else:
            datasets.Dataset.from_pandas(table).save_to_disk(tmp_path / f"{name}.saved")
    source, new = (tmp_path / f"{name}.{kind}" for name in tables)
    inputs = [] if kind == "npz" else ["--input", "f*"]
    record = check_all(good, tmp_path, source, ROLES, new, options=inputs)
    assert record["average_accuracy"] > 0.7


def test_parquet_of_lists_and_whole_numbers_as_labels(tmp_path, good):
    table = birds()
    lists = pd.DataFrame({"vector": list(table[FEATURES].to_numpy()), "water": (table["bird"] == "water").astype(int)})
    lists.to_parquet(tmp_path / "a.parquet")
    good("fit", "hsfm", tmp_path / "a.parquet", "-y", "water", "-s", "epochs=2", "-o", tmp_path / "m")
    shown = good("evaluate", tmp_path / "m", tmp_path / "a.parquet")
    assert shown.splitlines()[0] == f"HSFM on the test part of {tmp_path / 'a.parquet'}"
    assert re.search(r"worst class .*\([01]\)", shown)
    lists[["vector"]].to_parquet(tmp_path / "b.parquet")
    lines = good("predict", tmp_path / "m", tmp_path / "b.parquet").splitlines()
    assert lines[0] == "id,prediction,p(0),p(1)"
    assert {line.split(",")[1] for line in lines[1:]} == {"0", "1"}
    assert len(lines) == 1 + len(table)


@pytest.mark.parametrize("method", ["erm", "sitar"])
def test_images_end_to_end(tmp_path, good, photos, method):
    draw(tmp_path / "new", birds(10, seed=3))
    options = ["--size", "6", "--set", "epochs=3", "--set", "learning_rate=0.01"]
    check_all(good, tmp_path, photos, ROLES, tmp_path / "new", method=method, options=options)


def test_arrays_of_images(tmp_path, good, photos):
    data = read(photos, label="bird", attributes="place", split="part")
    arrays = np.stack([np.asarray(image) for image in data.X[:]])
    np.savez(tmp_path / "a.npz", X=arrays, bird=data.y, place=data.attributes["place"], part=data.split)
    good("fit", "erm", tmp_path / "a.npz", *ROLES, "--set", "epochs=2", "--size", 8, "--out", tmp_path / "m")
    from_array, from_files = (
        json.loads(good("evaluate", tmp_path / "m", at, "--json")) for at in (tmp_path / "a.npz", photos)
    )
    assert from_array["counts"] == from_files["counts"]


def test_images_through_a_backbone(tmp_path, good, photos, encoders):
    draw(tmp_path / "new", birds(10, seed=3))
    options = ["--backbone", f"{encoders}:images", "--size", "8", "--mean", "0.5", "--std", "0.5,0.5,0.5"]
    record = check_all(good, tmp_path, photos, ROLES, tmp_path / "new", method="hsfm", options=options)
    assert record["average_accuracy"] > 0.9


def test_a_feature_folder(tmp_path, good, photos, encoders):
    encoder = ["--backbone", f"{encoders}:images", "--size", "8", "--mean", "0.5", "--std", "0.5"]
    folder = tmp_path / "features"
    said = good("embed", photos, "--label", "bird", "--split-by", "site", *encoder, "--out", folder)
    assert said == f"60 rows of 12 features of image in {folder}\n"
    record = check_all(good, tmp_path, folder, ROLES, folder)
    good("fit", "erm", photos, *ROLES, *encoder, "--out", tmp_path / "direct")
    direct = json.loads(good("evaluate", tmp_path / "direct", photos, *encoder[:2], "--json"))
    assert direct["counts"] == record["counts"]
    on_images = good("predict", tmp_path / "m.safetensors", photos, *encoder[:2])
    assert on_images == good("predict", tmp_path / "m.safetensors", folder)
    assert on_images.splitlines()[1].startswith("000.png,")


def test_texts_through_an_encoder(tmp_path, good, encoders):
    words = {"land": "a brown thrush that sings", "water": "a white gull that dives"}
    places = {"sand": "on the dry sand", "sea": "over the cold sea"}
    for name, n in (("birds", 120), ("new", 30)):
        table = birds(n, seed=n % 60)
        table["text"] = [
            f"{words[bird]} {places[place]}" for bird, place in zip(table["bird"], table["place"], strict=True)
        ]
        columns = ["text", "bird", "place", "part"] if name == "birds" else ["text"]
        table[columns].to_csv(tmp_path / f"{name}.csv", index=False)
    options = ["--backbone", f"{encoders}:words"]
    record = check_all(good, tmp_path, tmp_path / "birds.csv", ROLES, tmp_path / "new.csv", options=options)
    assert record["worst_group_accuracy"] == 1
    # A column of labels, which is text too, does not get in the way of finding the texts again
    (tmp_path / "again.csv").write_text("bird,text\nland,a white gull that dives over the cold sea\n")
    said = good("predict", tmp_path / "m.safetensors", tmp_path / "again.csv", *options)
    assert said.splitlines()[1].startswith("0,water,")


def test_evaluation_takes_the_columns_of_the_fit_unless_named_anew(tmp_path, good, csv, model):
    by_default = json.loads(good("evaluate", model, csv, "--json"))
    table = birds()
    test = table[table["part"] == "test"]
    assert by_default["n"] == len(test)
    assert {group["name"]: group["n"] for group in by_default["counts"]["groups"]} == {
        f"bird={bird}, place={place}": n for (bird, place), n in test.groupby(["bird", "place"]).size().items()
    }
    train = table[table["part"] == "train"]
    assert sum(group["train_n"] for group in by_default["counts"]["groups"]) == len(train)
    for part, n in {"train": len(train), "validation": 24, "all": 120}.items():
        assert json.loads(good("evaluate", model, csv, "--part", part, "--json"))["n"] == n
    table.rename(columns={"bird": "kind", "place": "where"}).to_csv(tmp_path / "renamed.csv", index=False)
    words = ["--label", "kind", "--attribute", "where", "--json"]
    renamed = json.loads(good("evaluate", model, tmp_path / "renamed.csv", *words))
    assert renamed["average_accuracy"] == by_default["average_accuracy"]
    by_site = json.loads(good("evaluate", model, csv, "--group", "part", "--part", "all", "--json"))
    assert [group["name"] for group in by_site["counts"]["groups"]] == ["test", "train", "val"]


def test_a_group_without_samples_is_named(tmp_path, good, model):
    table = birds()
    table = table[(table["bird"] == "land") | (table["place"] == "sea")]
    table.to_csv(tmp_path / "three.csv", index=False)
    shown = good("evaluate", model, tmp_path / "three.csv")
    assert re.search(r"^ *bird=water, place=sand +0 +- +-", shown, re.MULTILINE)
    record = json.loads(good("evaluate", model, tmp_path / "three.csv", "--json"))
    assert [g["accuracy"] is None for g in record["counts"]["groups"]] == [False, False, True, False]
    assert record["worst_group"] != "bird=water, place=sand"


def test_a_group_that_the_fit_did_not_see(tmp_path, good, model):
    table = birds()
    table.loc[table["part"] == "test", "place"] = "moon"
    table.to_csv(tmp_path / "moon.csv", index=False)
    record = json.loads(good("evaluate", model, tmp_path / "moon.csv", "--part", "all", "--json"))
    sizes = {group["name"]: group["train_n"] for group in record["counts"]["groups"]}
    assert len(sizes) == 6
    assert sizes["bird=land, place=moon"] == 0


def test_split_by_keeps_each_value_in_one_part(tmp_path, good, csv):
    words = ["--label", "bird", "--attribute", "place", "--split-by", "site", "--input", "f*"]
    good("fit", "erm", csv, *words, "--out", tmp_path / "m")
    data = read(csv, label="bird", split_by="site", input="f*")
    sizes = {
        part: json.loads(good("evaluate", tmp_path / "m", csv, "--part", part, "--json"))["n"] for part in data.parts
    }
    assert sizes == data.parts
    site = data.table.values("site", "", "")
    assert not set(site[data.split == "train"]) & set(site[data.split == "test"])
    lines = good("predict", tmp_path / "m", csv, "--part", "test").splitlines()
    assert len(lines) == 1 + data.parts["test"]


def test_a_random_split_is_drawn_again_for_every_command(tmp_path, good, csv):
    good(
        "fit", "erm", csv, "-y", "bird", "-a", "place", "-x", "f0", "-x", "f1", "--split-seed", 3, "-o", tmp_path / "m"
    )
    data = read(csv, label="bird", attributes="place", input=["f0", "f1"], seed=3)
    assert json.loads(good("evaluate", tmp_path / "m", csv, "--json"))["n"] == data.parts["test"]
    assert "drawn at random, as in the fit" in good("evaluate", tmp_path / "m", csv)
    assert "drawn at random" not in good("evaluate", tmp_path / "m", csv, "--part", "all")
    ids = [int(line.split(",")[0]) for line in good("predict", tmp_path / "m", csv, "--part", "test").splitlines()[1:]]
    assert ids == data.part("test").ids.tolist()


@pytest.mark.parametrize(
    ("method", "use", "expected"),
    [
        ("erm", "train", "none"),
        ("hsfm", "none", "none"),
        ("hsfm", "val", "val_groups"),
        ("rwg", "none", "none"),
        ("rwg", "train", "train_groups"),
    ],
)
def test_group_labels_are_used_only_where_they_may_be(tmp_path, good, csv, method, use, expected):
    words = [*ROLES, "--input", "f*", "--use-groups", use, "--out", tmp_path / "m"]
    quick = {"hsfm": ["-s", "epochs=2"], "rwg": ["-s", 'group_inference_params={"epochs": 2}']}.get(method, [])
    shown = good("fit", method, csv, *words, *quick)
    assert f"Group labels used: {expected}. Saved {tmp_path / 'm'}" in shown
    assert longway.load(tmp_path / "m").supervision_ == expected


def test_parameters_from_the_paper_and_by_hand(tmp_path, good, csv):
    words = [*ROLES, "--input", "f*", "--out", tmp_path / "m", "--quiet"]
    good("fit", "hsfm", csv, *words, "--paper", "metashift", "--set", "epochs=1", "--set", "n_hard=5")
    fitted = longway.load(tmp_path / "m")
    wanted = longway.HSFM.from_paper("metashift", epochs=1, n_hard=5).get_params()
    assert {**fitted.get_params(), "device": "auto"} == wanted
    good(
        "fit", "erm", csv, *words, "--overwrite", "-s", "hidden=[4, 3]", "-s", "selection=worst_class", "-s", "epochs=1"
    )
    fitted = longway.load(tmp_path / "m")
    assert (fitted.hidden, fitted.selection, fitted.selection_["data"]) == ([4, 3], "worst_class", "eval_set")


def test_the_report_stands_alone(tmp_path, good, csv, model):
    said = good("evaluate", model, csv, "--report", tmp_path / "report.html")
    assert f"Report: {tmp_path / 'report.html'}" in said
    page = (tmp_path / "report.html").read_text()
    assert all(name in page for name in GROUPS)
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert json.loads(good("evaluate", model, csv, "--report", tmp_path / "report.html", "--json"))["n"] == 24


def test_the_same_command_gives_the_same_file(tmp_path, good, csv):
    for name in ("a", "b"):
        good("fit", "sitar", csv, *ROLES, "--input", "f*", "--set", "epochs=2", "--out", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
