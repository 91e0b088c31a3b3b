"""`longway export`, and `longway predict` and `evaluate` from what it wrote, as a user would."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from cli.birds import ROLES
from PIL import Image

from longway.data.file_formats import IMAGE_SUFFIXES

pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

FORMATS = ("onnx", "pt2")


def same_table(one, other, tolerance=1e-5):
    one, other = pd.read_csv(one), pd.read_csv(other)
    assert one.columns.tolist() == other.columns.tolist()
    for name in one:
        if name.startswith("p("):
            np.testing.assert_allclose(one[name], other[name], atol=tolerance)
        else:
            assert one[name].tolist() == other[name].tolist()


def test_a_table(tmp_path, csv, model, good, bad):
    good("predict", model, csv, "--out", tmp_path / "model.csv")
    expected = json.loads(good("evaluate", model, csv, "--json"))
    for suffix in FORMATS:
        file = tmp_path / f"model.{suffix}"
        said = good("export", model, "--out", file).splitlines()
        assert said[0] == f"{file}: ERM, classes land, water"
        assert said[1] == "Takes float32 features (batch, 3): f0, f1, f2"
        good("predict", file, csv, "--out", tmp_path / f"{suffix}.csv")
        same_table(tmp_path / f"{suffix}.csv", tmp_path / "model.csv")
        found = json.loads(good("evaluate", file, csv, "--json"))
        assert {**found, "model": ""} == {**expected, "model": ""}
        assert bad("export", model, "--out", file) == (
            f"{file} exists already: choose another path, or --overwrite to replace it"
        )
    assert json.loads(good("export", model, "--out", file, "--overwrite", "--json"))["positive_class"] == "water"
    assert bad("explain", file, csv).startswith(f"{file} is an exported file, which only `longway predict` and")
    assert bad("export", csv, "--out", tmp_path / "new.pt2").startswith(f"{csv} is damaged or no safetensors file")
    assert "--opset is of ONNX" in bad("export", model, "--out", tmp_path / "new.pt2", "--opset", 18)
    assert "the end of its name says the format" in bad("export", model, "--out", tmp_path / "new.pkl")
    assert "without a backbone: leave out" in bad("predict", file, csv, "--backbone", "encoder.py:load")


def test_images_through_a_backbone(tmp_path, photos, encoders, good, bad):
    model, spec = tmp_path / "model.safetensors", f"{encoders}:images"
    good("fit", "erm", photos, *ROLES, "--backbone", spec, "--size", 12, "--out", model)
    good("predict", model, photos, "--backbone", spec, "--out", tmp_path / "model.csv")
    for suffix in FORMATS:
        file = tmp_path / f"model.{suffix}"
        good("export", model, "--backbone", spec, "--out", file)
        good("predict", file, photos, "--out", tmp_path / f"{suffix}.csv")
        same_table(tmp_path / f"{suffix}.csv", tmp_path / "model.csv", 2e-3)  # the model's features are float16
    assert "is not the encoders.py:images" in bad(
        "export", model, "--backbone", f"{encoders}:other", "--out", tmp_path / "new.pt2"
    )
    # The head alone takes the features, and finds them with the backbone
    head = tmp_path / "head.pt2"
    assert "as backbone encoders.py:images gives them" in good("export", model, "--out", head)
    good("predict", head, photos, "--backbone", spec, "--out", tmp_path / "head.csv")
    same_table(tmp_path / "head.csv", tmp_path / "model.csv")


def test_images_end_to_end(tmp_path, photos, good, bad):
    model, file = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    good("fit", "erm", photos, *ROLES, "--size", 8, "--set", "epochs=1", "--out", model)
    good("export", model, "--out", file)
    for each in (model, file):
        good("predict", each, photos, "--out", each.with_suffix(f"{each.suffix}.csv"))
    same_table(tmp_path / "model.pt2.csv", tmp_path / "model.safetensors.csv")
    assert "fitted on images without a backbone" in bad(
        "export", model, "--backbone", "encoder.py:load", "--out", tmp_path / "new.pt2"
    )


@pytest.mark.parametrize("whole", [False, True], ids=["backbone", "end to end"])
def test_later_images_of_another_size_are_resized_everywhere(tmp_path, photos, encoders, good, whole):
    """Without --size, the model takes the images' own size; the same pictures at twice that size are the same to it."""
    square, larger, spec = tmp_path / "square", tmp_path / "larger", f"{encoders}:images"
    for folder, side in ((square, 16), (larger, 32)):
        shutil.copytree(photos, folder)
        for file in folder.rglob("*"):
            if file.suffix in IMAGE_SUFFIXES:
                with Image.open(file) as image:
                    image.convert("RGB").resize((16, 16)).resize((side, side), Image.Resampling.NEAREST).save(file)
    model, file = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    backbone = () if whole else ("--backbone", spec)
    good("fit", "erm", square, *ROLES, *backbone, *(("--set", "epochs=1") if whole else ()), "--out", model)
    good("export", model, *backbone, "--out", file)
    for name, folder in (("square", square), ("larger", larger)):
        good("predict", model, folder, *backbone, "--out", tmp_path / f"{name}.csv")
        good("predict", file, folder, "--out", tmp_path / f"{name}-file.csv")
        same_table(tmp_path / f"{name}.csv", tmp_path / f"{name}-file.csv", 2e-3)
    one, other = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("square", "larger"))
    assert one["prediction"].tolist() == other["prediction"].tolist()
