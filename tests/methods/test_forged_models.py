"""Forged and damaged model files: each one clear line, before anything large is allocated."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from forging import places

import longway
from longway import DFR, ERM, ChromaVAE, LongwayError
from longway.methods._persistence import describe
from longway.utils.safetensors import read_tensors, write_tensors

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = np.array(["camel", "cow"])[(X[:, 0] > 0).astype(int)]
IMAGES = RNG.random((20, 1, 8, 8)).astype(np.float32)
WEIGHT, STD = "module/linear.weight", "module/standardize.std"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    longway.save(ERM(hidden=(8,), epochs=1).fit(X, Y), folder / "mlp")
    longway.save(ERM().fit(X, Y), folder / "head")
    longway.save(DFR(n_refits=1).fit(X, Y, eval_set=(X, Y, Y)), folder / "dfr")
    longway.save(ChromaVAE(epochs=1).fit(IMAGES, np.arange(20) % 2), folder / "chroma")
    return {path.name: read_tensors(path, wanted="", remedy="") for path in sorted(folder.iterdir()) if path.is_file()}


def forged(saved, path, change, name="head"):
    """Write a file whose hash is right."""
    header, tensors = copy.deepcopy(saved[name])
    change(header, tensors)
    write_tensors(path, header, tensors)
    return path


def array(values, dtype):
    return {"array": values, "dtype": dtype}


BAD = {
    "NaN": (lambda h, t: t[WEIGHT].fill_(float("nan")), r"NaN or infinite weights \(linear\.weight\)"),
    "one NaN": (lambda h, t: t[WEIGHT][0, 0].fill_(float("nan")), "NaN or infinite weights"),
    "infinity": (lambda h, t: t["module/linear.bias"].fill_(float("inf")), "NaN or infinite weights"),
    "zero spread": (lambda h, t: t[STD].zero_(), r"a standard deviation of zero \(standardize\.std\)"),
    "one zero spread": (lambda h, t: t[STD][1].zero_(), "a standard deviation of zero"),
    "negative spread": (lambda h, t: t[STD].neg_(), "a standard deviation of zero"),
    "duplicate classes": (lambda h, t: h["learnt"].update(classes_=array(["cow", "cow"], "<U5")), "'classes_'"),
    "NaN classes": (lambda h, t: h["learnt"].update(classes_=array([0.0, float("nan")], "<f8")), "'classes_'"),
    "2-d classes": (lambda h, t: h["learnt"].update(classes_=array([["a"], ["b"]], "<U5")), "'classes_'"),
    "one class": (lambda h, t: h["learnt"].update(classes_=array(["cow"], "<U5")), "'classes_'"),
    "no classes": (lambda h, t: h["learnt"].pop("classes_"), "'classes_'"),
    "more classes": (
        lambda h, t: h["learnt"].update(classes_=array(["a", "b", "c"], "<U5")),
        "weights that do not fit",
    ),
    "classes of objects": (lambda h, t: h["learnt"].update(classes_=array([["a"], {}], "O")), "'classes_'"),
    "huge dtype": (lambda h, t: h["learnt"].update(classes_=array(["a", "b"], "<U500000000")), "an array of the type"),
    "records": (lambda h, t: h["learnt"].update(classes_=array(["a", "b"], "V8")), "an array of the type"),
    "no dtype": (lambda h, t: h["learnt"].update(classes_=array(["a", "b"], "cow")), "damaged"),
    "shape": (lambda h, t: h["learnt"].update(input_shape_={"tuple": [10**9]}), "contradict"),
    "negative shape": (lambda h, t: h["learnt"].update(input_shape_={"tuple": [-4]}), "'input_shape_'"),
    "shape of five": (lambda h, t: h["learnt"].update(input_shape_={"tuple": [1] * 5}), "'input_shape_'"),
    "image shape": (lambda h, t: h["learnt"].update(input_shape_={"tuple": [1, 8, 8]}), "weights that do not fit"),
    "method of the class": (lambda h, t: h["learnt"].update(predict_="x", predict="x"), "attribute named 'predict'"),
    "private": (lambda h, t: h["learnt"].update(__class__="x"), "attribute named '__class__'"),
    "no underscore": (lambda h, t: h["learnt"].update(device="x"), "attribute named 'device'"),
    "network": (lambda h, t: h["learnt"].update(module_="x"), "attribute named 'module_'"),
    "tensor of a method": (lambda h, t: t.update({"learnt/fit": torch.zeros(1)}), "attribute named 'fit'"),
    "supervision": (lambda h, t: h["learnt"].update(supervision_="all"), "'supervision_'"),
    "history": (lambda h, t: h["learnt"].update(history_="x"), "'history_'"),
    "hidden": (lambda h, t: h["parameters"].update(hidden=[10**9]), "weights that do not fit"),
    "unknown parameter": (lambda h, t: h["parameters"].update(depth=3), "has other parameters"),
    "bad parameter": (lambda h, t: h["parameters"].update(l2=-1), r"a parameter that its erm does not take \(.*l2"),
    "other weights": (lambda h, t: t.update({WEIGHT: torch.zeros(2, 5)}), "weights that do not fit"),
    "weight missing": (lambda h, t: t.pop(WEIGHT), "weights that do not fit"),
    "weight added": (lambda h, t: t.update({"module/more": torch.zeros(1)}), "weights that do not fit"),
    "whole weights": (lambda h, t: t.update({WEIGHT: torch.zeros(2, 4, dtype=torch.int64)}), "weights that do not fit"),
    "no tensors": (lambda h, t: t.clear(), "weights that do not fit"),
    "value": (lambda h, t: h["learnt"].update(history_={"code": "x"}), "a value that is no number"),
    "deep": (lambda h, t: h["about"].update(x=nested(200)), "was not saved by Longway"),
    "very deep": (lambda h, t: h["about"].update(x=nested(900)), "was not saved by Longway"),
}


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("case", BAD)
def test_one_clear_line(saved, tmp_path, case):
    change, message = BAD[case]
    path = forged(saved, tmp_path / "m", change)
    with pytest.raises(LongwayError, match=message) as caught:
        longway.load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    assert line.startswith(str(path))


def test_neighbours_vote_for_known_classes(saved, tmp_path):
    assert longway.load(forged(saved, tmp_path / "m", lambda h, t: None, "chroma")) is not None
    for change in (
        lambda h, t: t["module/second.labels"].fill_(7),
        lambda h, t: t.update({"module/second.labels": t["module/second.labels"][:3]}),
        lambda h, t: t.update({"module/second.points": t["module/second.points"][:, :3]}),
    ):
        with pytest.raises(LongwayError, match="fit again"):
            longway.load(forged(saved, tmp_path / "m", change, "chroma"))


def test_outputs_that_are_not_finite_are_no_predictions(saved, tmp_path):
    model = longway.load(forged(saved, tmp_path / "m", lambda h, t: t[WEIGHT].fill_(1e300)))
    with pytest.raises(LongwayError, match="NaN or infinite logits for 60 of 60 rows: check the range of X"):
        model.predict(np.full((60, 4), 1e38))


JUNK = (
    None,
    True,
    -1,
    10**9,
    10**400,
    1.5,
    float("nan"),
    "x",
    "",
    [],
    [[]],
    {},
    {"tuple": 1},
    {"mapping": []},
    nested(30),
)


def replaced(header, path, junk):
    *above, last = path
    for key in above:
        header = header[key]
    if junk is KeyError:
        del header[last]
    else:
        header[last] = junk


@pytest.mark.parametrize("name", ["head", "mlp", "dfr", "chroma"])
def test_any_change_of_a_header_is_refused_or_harmless(saved, tmp_path, name):
    path = tmp_path / "m"
    X_ = IMAGES if name == "chroma" else X
    drawn, lines = np.random.default_rng(0), []
    for place in places(saved[name][0]):
        for junk in (KeyError, *(JUNK[k] for k in drawn.choice(len(JUNK), 3, replace=False))):
            forged(saved, path, lambda h, t: replaced(h, place, copy.deepcopy(junk)), name)  # noqa: B023
            try:
                longway.load(path).predict(X_)
                describe(path)
            except LongwayError as error:
                lines.append(str(error))
    assert all("\n" not in line for line in lines)
