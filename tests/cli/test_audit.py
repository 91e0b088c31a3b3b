"""`longway audit` as a user runs it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from cli.birds import birds, draw

from longway.cli._app import app

ROLES = ("--label", "bird", "--input", "f*", "--split", "part")


@pytest.fixture
def table(tmp_path):
    """Return a CSV of birds, enough of them for strong evidence."""
    path = tmp_path / "birds.csv"
    birds(600).to_csv(path, index=False)
    return path


@pytest.fixture
def heads(tmp_path, table, good):
    """Save an ordinary head and one that balances the groups; return their paths."""
    paths = [tmp_path / f"{name}.safetensors" for name in ("erm", "rwg")]
    good("fit", "erm", table, *ROLES, "--out", paths[0])
    good("fit", "rwg", table, *ROLES, "--attribute", "place", "--use-groups", "train", "--out", paths[1])
    return paths


def test_an_audit_is_shown_and_written(good, run, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = good("audit", table, *ROLES)
    assert shown.startswith("Strong evidence of a shortcut: place = ")
    assert "Signals, the most suspicious first" in shown
    assert f"Report with samples and pictures: {'longway-audit/report.html'}" in shown
    record = json.loads((tmp_path / "longway-audit" / "audit.json").read_text(encoding="utf-8"))
    assert "<title>Audit of birds.csv</title>" in (tmp_path / "longway-audit" / "report.html").read_text("utf-8")
    printed = run("audit", table, *ROLES, "--json", "--quiet").json
    assert {**printed, "seconds": 0} == {**record, "seconds": 0}
    assert "part" not in record["columns"]


def test_its_commands_run(good, table, tmp_path):
    good("audit", table, *ROLES, "--out", tmp_path)
    record = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    commands = {record["verdict"]["command"], *(each["command"] for each in record["candidates"][:3])}
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "longway"
        good(*words[1:], "--out", tmp_path / "model.safetensors", "--overwrite")


def test_commands_of_numbers_and_of_computed_properties_use_the_sides(good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, generator = birds(300), np.random.default_rng(0)
    data["age"] = generator.normal(size=300) + 2 * (data["bird"] == "land")
    data["text"] = np.where(data["bird"] == "land", "a land bird it is", "bird") + data["site"]
    data.to_csv("birds.csv", index=False)
    good("audit", "birds.csv", "--label", "bird", "--input", "text", "--split", "part", "--quiet")
    record = json.loads(Path("longway-audit/audit.json").read_text(encoding="utf-8"))
    commands = {each["name"]: each["command"] for each in record["candidates"]}
    rest = "--use-groups train --label bird --split part --input text --backbone FILE.py:FUNCTION"
    assert commands["age"] == f"longway fit subg birds.csv --signal age {rest}"
    assert commands["text length"] == f"longway fit subg birds.csv --signal 'text length' {rest}"
    (place,) = (each for each in record["candidates"] if each["name"].startswith("place"))
    assert place["advice"] == {"method": "subg", "settings": {}, "columns": ["place"]}
    assert place["command"] == f"longway fit subg birds.csv --attribute place {rest}"


def test_an_audit_of_one_part_infers_groups_as_its_sides_are_of_other_samples(good, table, tmp_path):
    good("audit", table, *ROLES, "--part", "train", "--out", tmp_path, "--quiet")
    record = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    command = next(each["command"] for each in record["candidates"] if each["name"] == "axis 0")
    assert command == shlex.join(["longway", "fit", "subg", str(table), "--set", "group_inference=axes", *ROLES[:2],
                                  "--split", "part", "--input", "f*"])  # fmt: skip


def test_rows_that_are_in_two_parts_are_told(good, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.read_csv(table)
    train = frame[frame["part"] == "train"]
    pd.concat([frame, train.head(5).assign(part="test")]).to_csv(table, index=False)
    good("audit", table, *ROLES)
    record = json.loads((tmp_path / "longway-audit" / "audit.json").read_text(encoding="utf-8"))
    assert any(note.startswith("leakage: 10 rows") for note in record["notes"]), record["notes"]


def test_chosen_signals_make_the_groups_of_a_fit(good, run, bad, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good("audit", table, *ROLES, "--max-rows", 300)
    record = json.loads((tmp_path / "longway-audit" / "audit.json").read_text(encoding="utf-8"))
    names = [each["name"] for each in record["candidates"] if each["source"] == "axis"][:2]
    command = next(each["command"] for each in record["candidates"] if each["name"] == names[0])
    assert shlex.join(["--signal", names[0]]) in command
    assert "--audit" not in command
    words = ("fit", "rwg", table, *ROLES, "--out", tmp_path / "m.safetensors", "--use-groups", "train", "--overwrite")
    signals = [word for name in names for word in ("--signal", name)]
    taken = re.search(r"(\d+) of 600 rows were audited and lie surely on a side", good(*words, *signals))
    assert taken is not None
    assert 270 <= int(taken[1]) <= 300
    groups = [each["name"] for each in run(*words, *signals, "--json").json["counts"]["groups"]]
    assert any(f"{names[0]}=contradicting, {names[1]}=" in name for name in groups), groups
    assert "has no signal 'axis 99'" in bad(*words, "--signal", "axis 99")
    assert "run `longway audit` on the data first" in bad(*words, "--signal", "a", "--audit", tmp_path / "none")
    sides = tmp_path / "longway-audit" / "sides.csv"
    lines = sides.read_text().splitlines()
    sides.write_text("\n".join([lines[0], *("x" + line for line in lines[1:])]))
    assert "names no row of" in bad(*words, *signals)
    sides.write_text("\n".join([lines[0], "1,usual"]))
    assert "lines of different lengths" in bad(*words, *signals)


def test_a_fixed_model_is_told_from_an_ordinary_one(good, run, bad, heads, table, tmp_path):
    for name, head in zip(("before", "after"), heads, strict=True):
        good("audit", table, "--model", head, "--part", "all", "--out", tmp_path / name)
    files = [tmp_path / name / "audit.json" for name in ("before", "after")]
    shown = good("audit", "--compare", *files, "--out", tmp_path / "changes")
    assert "times less" in shown
    assert (tmp_path / "changes" / "changes.html").exists()
    changes = run("audit", "--compare", *files, "--json").json
    place = next(each for each in changes["signals"] if each["name"].startswith("place"))
    assert place["times_less"] > 2
    assert json.loads((tmp_path / "changes" / "changes.json").read_text(encoding="utf-8")) == changes
    assert run("audit", "--compare", *files[::-1], "--fail-on", "strong").status == 1
    assert bad("audit", table, "--compare", *files) == "--compare reads two audits and makes none: leave out DATA"
    assert bad("audit", "--compare", files[0], tmp_path / "x.json").endswith("give the JSON of an audit")


def test_a_models_own_part_and_columns_are_taken(good, heads, table, tmp_path):
    good("audit", table, "--model", heads[0], "--out", tmp_path / "a", "--part", "train")
    record = json.loads((tmp_path / "a" / "audit.json").read_text(encoding="utf-8"))
    assert record["n"] == (birds(600)["part"] == "train").sum()
    assert record["model"]["kind"] == "model"
    assert "--label bird" in record["candidates"][0]["command"]


def test_predictions(good, run, bad, heads, table, tmp_path):
    written, out = tmp_path / "p.csv", ("--out", tmp_path / "out", "--quiet")
    good("predict", heads[0], table, "--out", written)
    direct = run("audit", table, *ROLES, "--predictions", written, *out, "--json").json
    assert direct["model"]["kind"] == "predictions"
    lines = written.read_text().splitlines()
    (tmp_path / "shuffled.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    shuffled = run("audit", table, *ROLES, "--predictions", tmp_path / "shuffled.csv", *out, "--json").json
    assert shuffled["model"] == direct["model"]
    said = pd.read_csv(written)["prediction"].to_numpy(str)
    np.save(tmp_path / "p.npy", said)
    birds(600).assign(said=said).to_csv(tmp_path / "with.csv", index=False)
    for data, name in ((table, tmp_path / "p.npy"), (tmp_path / "with.csv", "said")):
        other = run("audit", data, *ROLES, "--predictions", name, *out, "--json").json
        assert other["model"]["accuracy"] == direct["model"]["accuracy"]
        assert not [each["name"] for each in other["candidates"] if "said" in each["name"]]
    part = run("audit", table, *ROLES, "--predictions", written, "--part", "train", *out, "--json").json
    assert part["n"] == (birds(600)["part"] == "train").sum()


BAD_PREDICTIONS = {
    "lacks rows": ("id,prediction\n0,land\n", "lacks 599 rows"),
    "twice": ("id,prediction\n0,land\n0,land\n", "names a row twice"),
    "no column": ("id,said\n0,land\n", "has no column 'prediction'; it has id, said"),
    "ragged": ("id,prediction\n0\n", "has lines of different lengths"),
    "no number": ("prediction,p(land)\n" + "land,x\n" * 600, "holds a probability that is not a number"),
    "too few": ("prediction\nland\n", "has 1 rows, "),
    "strange": ("prediction\n" + "cat\n" * 600, "holds 'cat', which is not a class of y"),
    "empty": ("", "is not a CSV with a header"),
}


@pytest.mark.parametrize("case", BAD_PREDICTIONS)
def test_bad_predictions(bad, table, tmp_path, case):
    content, message = BAD_PREDICTIONS[case]
    (tmp_path / "p.csv").write_text(content)
    assert message in bad("audit", table, *ROLES, "--predictions", tmp_path / "p.csv", "--out", tmp_path / "out")


def test_ci_formats_and_failing(run, table, tmp_path):
    junit, sarif = tmp_path / "ci" / "junit.xml", tmp_path / "ci" / "a.sarif"
    words = ("audit", table, *ROLES, "--out", tmp_path / "o", "--junit", junit, "--sarif", sarif, "--quiet")
    done = run(*words, "--fail-on", "strong")
    assert done.status == 1
    assert done.err.startswith("longway: strong evidence of a shortcut: The model is right on ")
    assert "contradict 'place = " in done.err
    assert done.err.count("\n") == 1
    assert int(ElementTree.parse(junit).getroot().get("failures")) >= 2
    assert json.loads(sarif.read_text(encoding="utf-8"))["runs"][0]["results"][0]["level"] == "error"
    assert "Report with" in done.out
    assert run(*words, "--fail-on", "suspicion").status == 1
    assert run(*words).status == 0


def test_a_clean_audit_does_not_fail(run, tmp_path):
    generator = np.random.default_rng(0)
    y = np.tile([0, 1], 200)
    X = generator.normal(size=(400, 5)) + y[:, None]
    np.savez(tmp_path / "clean.npz", X=X, y=y)
    done = run("audit", tmp_path / "clean.npz", "--fail-on", "suspicion", "--out", tmp_path / "o", "--quiet")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("No evidence of a shortcut\n")


def test_texts_are_shown(good, tmp_path):
    generator = np.random.default_rng(0)
    y = np.tile([0, 1], 150)
    hint = np.where(generator.random(300) < 0.9, y, 1 - y)
    core = np.where(generator.random(300) < 0.97, y, 1 - y)
    texts = [
        f"{('bad', 'good')[c]} {('<b>sad</b>', 'fun')[h]} film {i % 7}"
        for i, (c, h) in enumerate(zip(core, hint, strict=True))
    ]
    pd.DataFrame({"text": texts, "mood": y}).to_csv(tmp_path / "t.csv", index=False)
    good("audit", tmp_path / "t.csv", "--label", "mood", "--input", "text", "--out", tmp_path / "o", "--quiet")
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;sad&lt;/b&gt; film" in page
    assert "<b>sad" not in page


def test_images_are_shown(good, tmp_path, encoders):
    data = birds(160)
    names = draw(tmp_path / "photos", data)
    data[["bird", "place"]].assign(file_name=names).to_csv(tmp_path / "photos" / "metadata.csv", index=False)
    words = (
        "audit",
        tmp_path / "photos",
        "--label",
        "bird",
        "--quiet",
        "--backbone",
        f"{encoders}:images",
        "--size",
        8,
    )
    good(*words, "--out", tmp_path / "o")
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png') > 20
    assert ".png" in page
    record = json.loads((tmp_path / "o" / "audit.json").read_text(encoding="utf-8"))
    assert record["kind"] == "images"
    assert f"--backbone {encoders}:images" in record["candidates"][0]["command"]


BAD = {
    "no data": (["--label", "y"], "DATA is missing: name what to audit, or two audits with --compare"),
    "level": (["a.csv", "--fail-on", "never"], "--fail-on 'never' is unknown; Known: suspicion, strong"),
    "both": (["a.csv", "--model", "m", "--predictions", "p"], "--model and --predictions were both given: choose one"),
    "part": (["a.csv", "--part", "some"], "--part 'some' is unknown; did you mean 'none'? Known: "),
    "one file": (["--compare", "a.json"], "Option '--compare' requires 2 arguments"),
    "rows": (["a.csv", "--max-rows", "3"], "Invalid value for '--max-rows'"),
    "a model's own": (["a.csv", "--model", "m", "--size", "8"], "--size is the model's own: leave it out with --model"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(bad, case):
    words, message = BAD[case]
    assert bad("audit", *words).startswith(message.split(" did you mean")[0])


def test_bad_data(bad, csv, tmp_path):
    out = ("--out", tmp_path / "out")
    assert "has no label" in bad("audit", csv, "--input", "f*", *out)
    assert "has no column 'kind'" in bad("audit", csv, "--label", "kind", *out)
    assert "is neither a file nor a column" in bad("audit", csv, *ROLES, "--predictions", "said", *out)
    assert "an audit needs 50 or more" in bad("audit", csv, "--label", "bird", "--input", "f*", "--limit", 20, *out)


def test_it_is_a_command_with_help_for_all_options(good):
    shown = good("audit", "--help")
    assert "Usage: longway audit [OPTIONS] [DATA]" in shown
    assert "audit" in {command.name for command in app.registered_commands}
