"""Decisions about inputs that commands say, and inputs that must not do harm."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from cli.birds import ROLES, birds

from longway.auditing.group_export import group_by_sides
from longway.data import GroupedDataset

FIT = ("fit", "erm", "birds.csv", *ROLES, "--input", "f*", "--out", "m")
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202e"


@pytest.fixture
def here(tmp_path, monkeypatch, csv, encoders):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (("--split", "part"), "Rows: train 72, val 24, test 24 (split: column part). Inputs: f0, f1, f2"),
        (("--split-by", "site"), "(split: by the hash of column site). Inputs: f0, f1, f2"),
        ((), "(split: drawn at random within each class, seed 0). Inputs: f0, f1, f2"),
    ],
)
def test_a_fit_says_what_it_decided(here, good, options, rows):
    words = ("fit", "erm", "birds.csv", "-y", "bird", "-x", "f*", *options, "--out", "m")
    assert rows in good(*words)
    record = json.loads(good(*words, "--overwrite", "--json"))
    assert record["inputs"] == ["f0", "f1", "f2"]
    assert sum(record["rows"].values()) == 120


def test_inferred_groups_are_said_to_be(here, good):
    words = ("birds.csv", *ROLES, "--input", "f*", "--out", "m")
    assert "No group labels were given: groups were inferred (" in good("fit", "rwg", *words)
    assert "inferred" not in good("fit", "rwg", *words, "--overwrite", "--use-groups", "train")


def test_a_fit_does_not_overwrite_in_silence(here, good, bad):
    good(*FIT)
    before = (here / "m").read_bytes()
    assert bad(*FIT) == "--out m exists already: choose another file, or --overwrite to replace it"
    assert (here / "m").read_bytes() == before
    good(*FIT, "--overwrite")


def test_a_warning_is_one_line_with_the_option(here, run):
    done = run("fit", "erm", "birds.csv", "-y", "bird", "--split", "part", "--out", "m")
    assert done.status == 0
    assert done.err == (
        "longway: warning: birds.csv: columns place, site hold words and are no input; choose the inputs with --input, "
        "such as --input 'f0'\n"
    )


@pytest.mark.parametrize("where", ["class", "column", "file", "attribute"])
def test_escape_sequences_do_not_reach_the_terminal(here, run, where):
    table, label, source = birds(), "bird", "t.csv"
    if where == "class":
        table["bird"] = table["bird"].str.replace("land", EVIL + "land")
    elif where == "column":
        label = EVIL + "bird"
        table = table.rename(columns={"bird": label})
    elif where == "file":
        source = f"t{EVIL}.csv"
    else:
        table["place"] = EVIL + table["place"]
    table.to_csv(here / source, index=False)
    roles = ("--label", label, "--attribute", "place", "--split", "part")
    commands = [
        ("fit", "erm", source, *roles, "--out", "m"),
        ("fit", "erm", source, *roles, "--out", "m"),
        ("evaluate", "m", source),
        ("predict", "m", source),
        ("fit", "erm", source, "--label", "brid"),
        ("fit", "erm", source + "x", "--label", "bird"),
        ("audit", source, *roles, "--fail-on", "suspicion"),
    ]
    for words in commands:
        done = run(*words)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", done.out + done.err), words
    assert done.status in (0, 1)


def test_formulas_are_escaped_if_asked_for(here, good):
    table = birds()
    table["bird"] = table["bird"].replace({"land": "=1+1", "water": "@x"})
    table.to_csv("birds.csv", index=False)
    good(*FIT)
    good("predict", "m", "birds.csv", "--out", "p.csv")
    assert set(pd.read_csv("p.csv")["prediction"]) == {"=1+1", "@x"}
    good("predict", "m", "birds.csv", "--out", "p.csv", "--escape-formulas")
    assert set(pd.read_csv("p.csv")["prediction"]) == {"'=1+1", "'@x"}
    assert "\n=" not in (here / "p.csv").read_text()


def test_escaped_sides_are_read_back(tmp_path):
    (tmp_path / "sides.csv").write_text("id,'=a\n'=1,usual\n'-2,contradicting\n")
    data = GroupedDataset(np.zeros((2, 1)), np.array([0, 1]), ids=np.array(["=1", "-2"]))
    assert group_by_sides(data, tmp_path, ["=a"]).groups.tolist() == ["label=0, =a=usual", "label=1, =a=contradicting"]


@pytest.mark.parametrize("backbone", [(), ("--backbone", "encoders.py:images", "--size", "8")])
def test_an_unreadable_image_is_left_out(here, run, good, bad, photos, backbone):
    again = backbone[:2]
    words = ("fit", "erm", photos, *ROLES, *backbone, "--out", "m", "--overwrite", "--max-skipped", "0.1")
    good(*words)
    (photos / "007.png").write_bytes(b"nonsense")
    message = r"1 of \d+ images cannot be read and are left out: row 7 .*007\.png\) is not an image"
    for command in (words, ("predict", "m", photos, *again, "--out", "p.csv", "--max-skipped", "0.1")):
        done = run(*command)
        assert (done.status, len(re.findall(message, done.err))) == (0, 1), done.err
    assert len(pd.read_csv("p.csv")) == 59
    assert "007.png) is not an image" in bad("predict", "m", photos, *again, "--max-skipped", "0")


def test_images_outside_the_folder(here, good, bad, photos):
    table = pd.read_csv(photos / "metadata.csv")
    table["file_name"] = "../" + photos.name + "/" + table["file_name"]
    (here / "other").mkdir()
    table.to_csv(here / "other" / "metadata.csv", index=False)
    words = ("fit", "erm", "other", *ROLES, "--set", "epochs=1", "--out", "m")
    assert re.search(r"outside the data's folder other: move it there, or allow it with --allow-outside$", bad(*words))
    good(*words, "--allow-outside")
