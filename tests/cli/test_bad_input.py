"""Each bad input on the command line: one line on standard error that names the culprit and the way out, status 2."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cli.birds import ENCODERS, ROLES, birds
from safetensors.numpy import save_file

import longway

FIT = ("fit", "erm", "birds.csv", *ROLES, "--input", "f*", "--out", "new")


@pytest.fixture
def here(tmp_path, monkeypatch, csv, encoders) -> Path:
    """Work in a folder that holds birds.csv, and encoders.py."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed(**columns: Any) -> Callable[[], None]:
    """Write other values into birds.csv, by row or whole."""

    def change() -> None:
        table = birds()
        for name, value in columns.items():
            table[name] = value(table[name]) if callable(value) else value
        table.to_csv("birds.csv", index=False)

    return change


def at_row(row: int, value: object) -> Callable[[pd.Series], pd.Series]:
    return lambda column: column.astype(object).where(column.index != row, value)


TABLE: list[tuple[Callable[[], object] | None, tuple[object, ...], str]] = [
    # data
    (None, ("fit", "erm", "gone.csv", "-y", "bird"), r"there is no file or folder gone\.csv: check the spelling"),
    (None, ("fit", "erm", "bird.csv", "-y", "bird"), r"no file or folder bird\.csv; did you mean 'birds\.csv'\?"),
    (None, ("fit", "erm", "birds.csv", "-x", "f*"), r"birds\.csv has no label: name its column with --label"),
    (
        None,
        ("fit", "erm", "birds.csv", "-y", "bird", "-x", "place", "-x", "f0"),
        r"column 'place' \(input\) of birds\.csv does not hold numbers: several inputs must all be numbers",
    ),
    (None, (*FIT, "--label", "brid"), r"no column 'brid' \(label\); did you mean 'bird'\?"),
    (None, (*FIT, "--split-by", "site"), r"^--split and --split-by were both given: choose one$"),
    (None, (*FIT, "--fractions", "a,b"), r"^--fractions='a,b' must be numbers separated by commas"),
    (
        None,
        ("fit", "erm", "birds.csv", "-y", "bird", "-x", "f*", "--fractions", "1,1,1"),
        r"^--fractions \(1\.0, 1\.0, 1\.0\)",
    ),
    (
        None,
        (*FIT, "--hf-split", "train"),
        r"^--hf-split 'train' is for Hugging Face datasets, but birds\.csv is a local",
    ),
    (changed(f1=at_row(5, "inf")), FIT, r"X contains NaN or infinity: inf at row \d+, position 1; drop or impute"),
    (changed(f1=at_row(5, "")), FIT, r"column 'f1' \(input\) of birds\.csv has no value in row 5: fill it in or drop"),
    (changed(bird="land"), FIT, r"y holds one class only \('land'\): a classifier needs samples of two or more"),
    (
        changed(bird=at_row(3, "")),
        FIT,
        r"column 'bird' \(label\) of birds\.csv has 1 missing value, the first in row 3",
    ),
    (changed(part="train"), (*FIT[:-1], "m"), ""),
    (changed(part="test"), FIT, r"no row of birds\.csv is in the part 'train' \(it has test\): choose another split"),
    (
        changed(bird=lambda c: c.where((birds()["part"] != "val") | (c == "land"), "gull")),
        FIT,
        r"eval_set y holds labels that the training data did not: 'gull'; known are 'land', 'water'",
    ),
    # method and parameters
    (None, ("fit", "emr", *FIT[2:]), r"^METHOD 'emr' is unknown; did you mean 'erm'\? Known: afr, "),
    (None, (*FIT, "--set", "epohs=3"), r"ERM has no parameter 'epohs'; did you mean 'epochs'\? Known: "),
    (None, (*FIT, "--set", "epochs"), r"^--set 'epochs' must be NAME=VALUE$"),
    (None, (*FIT, "--set", "epochs=0"), r"^epochs=0 must be a whole number, 1 or more$"),
    (None, (*FIT, "--set", "epochs=ten"), r"^epochs='ten' must be a whole number, 1 or more$"),
    (None, (*FIT, "--set", "learning_rate=NaN"), r"^learning_rate=nan must be a number above 0$"),
    (
        None,
        (*FIT, "--set", "selection=worst"),
        r"^selection='worst' is unknown; did you mean 'worst_\w+'\? Known: auto",
    ),
    (None, ("fit", "hsfm", *FIT[2:], "--set", "variant=papr"), r"^variant='papr' is unknown; did you mean 'paper'\?"),
    (
        None,
        ("fit", "hsfm", *FIT[2:], "--paper", "waterbrids"),
        r"published setting 'waterbrids'; did you mean 'waterbirds'",
    ),
    (None, (*FIT, "--paper", "waterbirds"), r"ERM has no published setting 'waterbirds'; it has none"),
    (None, (*FIT, "--device", "gpu"), r"^--device 'gpu' cannot be used \(.*\); give 'auto', 'cpu' or 'cuda'$"),
    (
        None,
        (*FIT, "--use-groups", "trian"),
        r"^--use-groups 'trian' is unknown; did you mean 'train'\? Known: none, val",
    ),
    (
        None,
        ("fit", "hsfm", "birds.csv", "-y", "bird", "-x", "f*", "--use-groups", "val"),
        r"^--use-groups val needs groups: name them with --attribute, --group or --signal$",
    ),
    (
        None,
        ("fit", "hsfm", *FIT[2:], "--set", "selection=worst_group"),
        r"selection='worst_group' needs groups of the validation data",
    ),
    # where results go
    (lambda: Path("new").mkdir(), FIT, r"^--out new is a folder: give the name of a file in it, such as new/model$"),
    (None, (*FIT, "--out", "birds.csv/model"), r"^--out birds\.csv/model cannot be written, .*: choose another path$"),
    # backbones
    (None, (*FIT, "--backbone", "encoders.py:images"), r"birds\.csv holds features already: leave out --backbone"),
    (
        None,
        (*FIT[:-4], "-x", "site", *FIT[-2:]),
        r"holds texts: give --backbone to embed them, such as st:NAME",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py"),
        r"must be given as path/to/file\.py:function",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "gone.py:f"),
        r"backbone file gone\.py does not exist: check",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py:word"),
        r"no function 'word'; did you mean 'words'",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py:images"),
        r"cannot embed texts: it has no encode",
    ),
    (None, ("embed", "birds.csv", "-x", "f*", "--backbone", "encoders.py:words"), r"birds\.csv holds features already"),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py:words", "--mean", "x"),
        r"^--mean='x' must be numbers separated by commas$",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py:words", "--pooling", "men"),
        r"^--pooling 'men' is unknown; did you mean 'mean'\? Known: mean, max, cls, none$",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py:words", "--precision", "bf16"),
        r"^--precision 'bf16' is unknown; .*Known: float32, bfloat16, float16$",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py:words", "--layer", "2"),
        r"^backbone encoders\.py:words is no nn\.Module: leave out --layer '2'$",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py:images", "--layer", "2"),
        r"^backbone encoders\.py:images has no --layer '2'; Known: 0, 1$",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "gone.onnx"),
        r"^backbone file gone\.onnx does not exist: check the path$",
    ),
    (
        lambda: Path("bad.onnx").write_bytes(b"garbage"),
        ("embed", "birds.csv", "-x", "site", "--backbone", "bad.onnx"),
        r"^backbone file bad\.onnx is no ONNX file \(.*\): export it again$",
    ),
    (
        None,
        ("embed", "birds.csv", "-x", "site", "--backbone", "encoders.py:words", "--dtype", "float61"),
        r"^--dtype 'float61' must be one of float16, float32$",
    ),
]


@pytest.mark.parametrize(("prepare", "words", "message"), TABLE, ids=range(len(TABLE)))
def test_one_clear_line(here, bad, good, prepare, words, message):
    if prepare is not None:
        prepare()
    before = {path.name for path in here.iterdir()}
    if not message:
        good(*words)
        return
    assert re.search(message, bad(*words))
    assert {path.name for path in here.iterdir()} == before


MODELS: list[tuple[Callable[[Path], object] | None, tuple[object, ...], str]] = [
    (Path.unlink, ("MODEL", "birds.csv"), "MODEL: no such file; give the path of a model that `longway fit` saved"),
    (lambda m: m.write_bytes(m.read_bytes()[:-9]), ("MODEL", "birds.csv"), r"MODEL is damaged or no safetensors file"),
    (
        lambda m: m.write_bytes(b"garbage"),
        ("MODEL", "birds.csv"),
        r"MODEL is damaged or no safetensors file \(.*: fit again",
    ),
    (lambda m: m.write_text(json.dumps({"a": 1})), ("MODEL", "birds.csv"), r"MODEL is damaged or no safetensors file"),
    (lambda m: save_file({"w": np.ones(3)}, m), ("MODEL", "birds.csv"), "MODEL was not saved by Longway: give a model"),
    (None, (".", "birds.csv"), r"^\. is a folder, not a model: give the file that `longway fit` saved$"),
    (None, ("birds.csv", "MODEL"), r"^birds\.csv is damaged or no safetensors file"),
    (None, ("MODEL", "gone.csv"), r"there is no file or folder gone\.csv"),
    (
        None,
        ("MODEL", "birds.csv", "--backbone", "encoders.py:images"),
        "fitted without a backbone: leave out --backbone",
    ),
    (None, ("MODEL", "birds.csv", "--part", "tst"), r"^--part 'tst' is unknown; did you mean 'test'\? Known: .*all"),
    (None, ("MODEL", "birds.csv", "--device", "gpu"), r"^--device 'gpu' cannot be used"),
    (None, ("MODEL", "birds.csv", "-x", "f0"), r"X has 1 features, but ERM is expecting 3 features as input"),
    (
        None,
        ("MODEL", "birds.csv", "-x", "site"),
        r"birds\.csv holds texts, but this model was fitted without a backbone",
    ),
    (
        lambda _: birds().drop(columns="f1").to_csv("birds.csv"),
        ("MODEL", "birds.csv"),
        r"birds\.csv has no column 'f1' \(input\)",
    ),
]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(("prepare", "words", "message"), MODELS, ids=range(len(MODELS)))
def test_models_and_data_for_them(here, bad, model, command, prepare, words, message):
    if prepare is not None:
        prepare(model)
    said = bad(command, *(str(model) if word == "MODEL" else word for word in words))
    assert re.search(message.replace("MODEL", re.escape(str(model))), said)


EVALUATE: list[tuple[Callable[[], None], tuple[str, ...], str]] = [
    (
        changed(bird=lambda c: c.where(c == "land", "gull")),
        (),
        "the label column 'bird' holds labels that the training data did not: 'gull'; known are 'land', 'water'",
    ),
    (
        changed(bird=0),
        ("--part", "all"),
        "label column 'bird' holds labels that the training data did not: 0; known are",
    ),
    (lambda: birds().drop(columns="bird").to_csv("birds.csv"), (), r"no column 'bird' \(label\)"),
    (lambda: birds().drop(columns="place").to_csv("birds.csv"), (), r"no column 'place' \(attribute\)"),
    (lambda: birds().drop(columns="part").to_csv("birds.csv"), (), r"no column 'part' \(split\)"),
    (changed(part="train"), ("--part", "test"), r"no row of birds\.csv is in the part 'test' \(it has train\)"),
]


@pytest.mark.parametrize(("prepare", "words", "message"), EVALUATE, ids=range(len(EVALUATE)))
def test_evaluation(here, bad, model, prepare, words, message):
    prepare()
    assert re.search(message, bad("evaluate", model, "birds.csv", *words))


def test_images(here, bad, good, photos):
    roles = [*ROLES, "--out", "m", "--overwrite"]
    assert re.search("takes features, not images: give --backbone", bad("fit", "hsfm", photos, *roles))
    good("fit", "erm", photos, *roles, "--set", "epochs=1")
    assert "8x8" not in bad("evaluate", "m", "birds.csv", "--input", "f*")
    shown = bad("predict", "m", "birds.csv", "--input", "f*")
    assert shown == "X must hold images of shape (3, 8, 8), got shape (120, 3)"
    (photos / "000.png").write_bytes(b"nonsense")
    assert re.search(r"000\.png\) is not an image", bad("fit", "erm", photos, *roles))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "raises",
            r"backbone encoders\.py:raises raised RuntimeError on images of shape .*: out of luck; check its code",
        ),
        ("ragged", r"backbone encoders\.py:ragged gave shape \(\d+,\) for images .*: it must give \(\d+, d\)"),
    ],
)
@pytest.mark.parametrize("command", ["embed", "fit"])
def test_backbones_that_fail(here, bad, photos, function, message, command):
    words = {"embed": ["embed", photos], "fit": ["fit", "erm", photos, *ROLES]}[command]
    assert re.search(message, bad(*words, "--backbone", f"encoders.py:{function}", "--size", 8, "--out", "new"))
    assert not Path("new").exists()


def test_another_backbone_than_that_of_the_fit(here, bad, good, photos):
    for name in ("images", "other"):
        good("embed", photos, "--backbone", f"encoders.py:{name}", "--size", 8, "--out", name)
    good("fit", "erm", "images", *ROLES, "--out", "m")
    said = bad("predict", "m", photos)
    assert (
        said
        == "this model was fitted on features of encoders.py:images: give that encoder, or its path, with --backbone"
    )
    said = bad("predict", "m", photos, "--backbone", "encoders.py:other")
    assert said.startswith("--backbone encoders.py:other is not the encoders.py:images that this model was fitted on")
    said = bad("evaluate", "m", "other")
    assert said.startswith("other holds features of another backbone than this model's encoders.py:images: embed")
    Path("encoders.py").write_text(ENCODERS + "# changed\n")
    assert "(weights or code differ)" in bad("predict", "m", photos, "--backbone", "encoders.py:images")


def test_a_feature_folder_that_is_in_the_way(here, bad, good, photos):
    words = ["embed", photos, "--backbone", "encoders.py:images", "--out", "features", "--size"]
    good(*words, 8)
    assert bad(*words, 4).endswith("choose another folder with --out, or --overwrite to replace them")
    good(*words, 4, "--overwrite")
    assert bad("embed", photos, *words[2:4], "--out", ".").endswith("choose another folder with --out")
    content = Path("features/features.npy").read_bytes()
    Path("features/features.npy").write_bytes(content[:-10])
    for command in (["fit", "erm", "features", *ROLES, "--out", "m"], [*words, 4]):
        assert re.search(r"features\.npy is damaged or cut short .*: embed again with --overwrite$", bad(*command))


LIMITED = """
import resource, sys
from longway.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
main(sys.argv[1:])
"""


def test_a_full_disk_while_a_model_is_written(here, model):
    pytest.importorskip("resource", reason="this system has no limits on the size of files")
    table = birds()
    np.savez("birds.npz", X=table[["f0", "f1", "f2"]], y=table["bird"].to_numpy(str))
    before = model.read_bytes()
    words = ["fit", "erm", "birds.npz", "--out", str(model), "--overwrite"]
    done = subprocess.run([sys.executable, "-c", LIMITED, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"longway: error: no space left to write {model}: free some space or choose another path\n"
    assert model.read_bytes() == before


SLOW = """
import torch, time
class Slow(torch.nn.Flatten):
    def forward(self, x):
        print("embedding", flush=True)
        time.sleep(60)
def load():
    return Slow()
"""


@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_an_end_while_features_are_written(here, bad, good, photos, how, status):
    Path("slow.py").write_text(SLOW)
    words = ["embed", str(photos), "--size", "8", "--out", "features", "--backbone"]
    command = [sys.executable, "-m", "longway", *words, "slow.py:load"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=os.environ, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "embedding\n"
        process.send_signal(how)
        said = process.communicate()[1]
    assert (process.returncode, said) == (status, "longway: error: interrupted\n" if status == 130 else "")
    if status == 130:
        assert not any(path.name.startswith(".") for path in here.iterdir())
    assert "there is no file or folder" in bad("fit", "erm", "./features", *ROLES)
    good(*words, "encoders.py:images")
    good("fit", "erm", "features", *ROLES, "--out", "m")
    assert longway.load("m").input_shape_ == (12,)
