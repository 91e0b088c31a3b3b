"""Exported files give what the model gives, from the same inputs."""

from __future__ import annotations

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import longway
from longway import (
    DFR,
    ERM,
    HSFM,
    SITAR,
    ChromaVAE,
    DiffusionClassifier,
    GenerativeClassifier,
    LongwayError,
    load_exported,
)
from longway.backbones import load_backbone
from longway.datasets import make_planted_shortcut
from longway.exporting.record import Record
from longway.utils.storage import hash_file

pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

DATA = make_planted_shortcut(200, correlation=0.8, seed=0)
NAMES = np.array(["camel", "cow"])[DATA.y]
RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
IMAGES = (RNG.random((60, 3, 12, 12)) * (1 + LABELS[:, None, None, None]) / 3).astype(np.float32)
FORMATS = (".onnx", ".pt2")


def same(exported, model, X, tolerance=1e-5):
    expected = model.predict_proba(X)
    np.testing.assert_allclose(exported.predict_proba(X), expected, atol=tolerance)
    np.testing.assert_allclose(exported.predict_proba(X[:1]), expected[:1], atol=tolerance)
    np.testing.assert_allclose(exported.decision_function(X), model.decision_function(X), atol=20 * tolerance)
    sure = np.sort(expected, axis=1)
    sure = sure[:, -1] - sure[:, -2] > 1e-3
    assert exported.predict(X)[sure].tolist() == model.predict(X)[sure].tolist()
    assert exported.classes_.tolist() == model.classes_.tolist()


CASES = {
    "dfr": (lambda: DFR(n_refits=2).fit(DATA.X * 50 + 1000, NAMES, groups=DATA.groups), DATA.X * 50 + 1000, FORMATS),
    "hsfm": (lambda: HSFM(epochs=1, n_refits=1).fit(DATA.X, DATA.y), DATA.X, (".pt2",)),
    "erm-mlp": (lambda: ERM(hidden=(8,), epochs=1).fit(DATA.X, NAMES), DATA.X, (".onnx",)),
    "erm-images": (lambda: ERM(epochs=1).fit(IMAGES, LABELS), IMAGES, FORMATS),
    "sitar-images": (lambda: SITAR(variant="paper", epochs=1).fit(IMAGES, LABELS), IMAGES, (".onnx",)),
    "chroma-neighbours": (lambda: ChromaVAE(epochs=1).fit(IMAGES, LABELS), IMAGES, FORMATS),
    "chroma-linear": (lambda: ChromaVAE(epochs=1, classifier="linear").fit(IMAGES, LABELS), IMAGES, (".onnx",)),
    "diffusion": (
        lambda: DiffusionClassifier(epochs=1, n_draws=2, width=8).fit(IMAGES, LABELS),
        IMAGES,
        FORMATS,
    ),
    "generative": (lambda: GenerativeClassifier(epochs=1, n_draws=2).fit(IMAGES, LABELS), IMAGES, (".pt2",)),
}


@pytest.mark.filterwarnings("ignore:the posterior")
@pytest.mark.parametrize("case", CASES)
def test_same_answers_as_the_model(tmp_path, case):
    fit, X, formats = CASES[case]
    model = fit()
    for suffix in formats:
        record = longway.export(model, tmp_path / f"model{suffix}")
        exported = load_exported(tmp_path / f"model{suffix}", device="cpu")
        same(exported, model, X)
        assert exported.record == record
        assert (record.positive_class == "cow") == (case in ("dfr", "erm-mlp"))
    assert {file.suffix for file in tmp_path.iterdir()} == set(formats)


class Net(torch.nn.Module):
    """Gives tokens from one of its layers, and a map from another."""

    size, mean, std, crop = 8, (0.4, 0.5, 0.6), 0.25, 0.8

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 5, 3, stride=2)
        self.after = torch.nn.Tanh()
        for weight in self.parameters():
            weight.data = 0.3 * torch.randn(weight.shape, generator=generator)

    def forward(self, x):
        return self.after(self.conv(x))


@pytest.mark.parametrize("options", [{}, {"layer": "conv", "pooling": "max"}])
def test_with_its_backbone(tmp_path, options):
    backbone = load_backbone(Net(), device="cpu", **options)
    features = backbone.embed(IMAGES).numpy()
    model = ERM().fit(features, LABELS)
    ready = backbone.transform.fit(torch.from_numpy(IMAGES)).numpy()
    for suffix in FORMATS:
        longway.export(model, tmp_path / f"model{suffix}", backbone=backbone)
        exported = load_exported(tmp_path / f"model{suffix}", device="cpu")
        np.testing.assert_allclose(exported.predict_proba(ready), model.predict_proba(features), atol=1e-5)
        assert exported.record.shape == [3, 8, 8]
        assert exported.record.form["crop"] == 0.8
        assert "cropped to 0.8" in exported.record.input
        assert exported.record.normalisation == {"mean": [0.4, 0.5, 0.6], "std": [0.25] * 3}
        np.testing.assert_array_equal(
            exported.predict_proba(ready[:, :1]), exported.predict_proba(ready[:, :1].repeat(3, axis=1))
        )


def test_mobilenet_by_its_file(tmp_path, shared_data):
    spec = f"{shared_data / 'mobilenet_v2.py'}:load"
    backbone = load_backbone(spec, size=64, mean=0.5, std=0.5, device="cpu")
    images = np.random.default_rng(1).random((12, 3, 64, 64), np.float32)
    features = backbone.embed(images).numpy()
    model = ERM(l2=0.1).fit(features, np.arange(12) % 2)
    form = {"backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint, **backbone.options}}
    longway.save(model, tmp_path / "m.safetensors", about={"form": form})
    longway.export(tmp_path / "m.safetensors", tmp_path / "m.onnx", backbone=spec)
    exported = load_exported(tmp_path / "m.onnx", device="cpu")
    np.testing.assert_allclose(exported.predict_proba(images), model.predict_proba(features), atol=1e-4)
    with pytest.raises(LongwayError, match="is not the one that this model was fitted on"):
        longway.export(tmp_path / "m.safetensors", tmp_path / "n.onnx", backbone=load_backbone(Net(), device="cpu"))


@pytest.mark.parametrize("opset", [17, 20])
def test_onnx_backbone_is_joined(tmp_path, opset):
    onnx = pytest.importorskip("onnx")
    helper, value = onnx.helper, onnx.TensorProto.FLOAT
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["map"]), helper.make_node("Relu", ["map"], ["active"])],
        "net",
        [helper.make_tensor_value_info("x", value, ["n", 3, 12, 12])],
        [helper.make_tensor_value_info("active", value, ["n", 4, 10, 10])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(made, tmp_path / "net.onnx")
    backbone = load_backbone(tmp_path / "net.onnx", device="cpu")
    features = backbone.embed(IMAGES).numpy()
    model = ERM().fit(features, LABELS)
    longway.export(model, tmp_path / "whole.onnx", backbone=backbone)
    exported = load_exported(tmp_path / "whole.onnx", device="cpu")
    np.testing.assert_allclose(exported.predict_proba(IMAGES), model.predict_proba(features), atol=1e-5)
    with pytest.raises(LongwayError, match=r"net\.onnx is an ONNX file: export to \.onnx"):
        longway.export(model, tmp_path / "whole.pt2", backbone=backbone)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    model = ERM().fit(DATA.X, NAMES)
    longway.save(model, folder / "m.safetensors")
    for suffix in FORMATS:
        longway.export(model, folder / f"m{suffix}")
    return folder


def test_metadata_can_be_read_without_longway(saved):
    import onnx

    told = {entry.key: json.loads(entry.value) for entry in onnx.load(saved / "m.onnx").metadata_props}
    extra = {"longway.classes.json": ""}
    torch.export.load(saved / "m.pt2", extra_files=extra)
    for classes, words, version in (
        (told["longway.classes"], told["longway.input"], told["longway.longway"]),
        (json.loads(extra[f"longway.{name}.json"]) for name in ("classes", "input", "longway")),
    ):
        assert classes == ["camel", "cow"]
        assert words == "float32 features (batch, 20)"
        assert version == longway.__version__
    for suffix in FORMATS:
        assert b"/longway/" not in (saved / f"m{suffix}").read_bytes()  # no path of the machine that wrote it


BAD = {
    "suffix": (
        lambda at: longway.export(at / "m.safetensors", at / "m.onx"),
        r"m\.onx: the end of its name says the format; did you mean '\.onnx'\? Known: \.onnx, \.pt2",
    ),
    "exists": (
        lambda at: longway.export(at / "m.safetensors", at / "m.pt2"),
        r"m\.pt2 exists already: choose another path, or overwrite=True",
    ),
    "no model": (
        lambda at: longway.export(at / "gone", at / "new.pt2"),
        "gone: no such file; give the path of a model",
    ),
    "folder": (lambda at: longway.export(at, at / "new.pt2"), "is a folder, not a model: give the file"),
    "exported": (lambda at: longway.export(at / "m.onnx", at / "new.pt2"), r"m\.onnx is an exported file"),
    "opset": (
        lambda at: longway.export(at / "m.safetensors", at / "new.onnx", opset=11),
        r"opset=11 must be a whole number from 18 to \d+",
    ),
    "opset of torch": (
        lambda at: longway.export(at / "m.safetensors", at / "new.pt2", opset=18),
        r"opset= is of ONNX: leave it out for a \.pt2 file",
    ),
    "width": (
        lambda at: longway.export(at / "m.safetensors", at / "new.pt2", backbone=load_backbone(Net(), device="cpu")),
        "backbone Net gives 5 features, but this model takes another number",
    ),
    "own size": (
        lambda at: longway.export(
            at / "m.safetensors", at / "new.pt2", backbone=load_backbone(torch.nn.Flatten(), device="cpu")
        ),
        "backbone Flatten took images as large as they were: say how large with size=",
    ),
    "other size": (
        lambda at: longway.export(
            at / "m.safetensors", at / "new.pt2", backbone=load_backbone(Net(), device="cpu"), size=9
        ),
        "size=9 is not the 8 pixels of backbone Net: leave it out",
    ),
    "code": (
        lambda at: longway.export(
            at / "m.safetensors", at / "new.pt2", backbone=load_backbone(Branching(), size=4, device="cpu")
        ),
        "the model cannot be exported, as its network does what no graph can hold .*leave out backbone=",
    ),
    "tokens": (
        lambda at: longway.export(at / "m.safetensors", at / "new.pt2", backbone=load_backbone(Words(), device="cpu")),
        "backbone Words makes its tokens itself, which no graph can hold: leave out backbone=",
    ),
    "gone": (lambda at: load_exported(at / "gone.onnx"), r"gone\.onnx: no such file"),
    "features": (
        lambda at: load_exported(at / "m.pt2").predict(np.zeros((2, 3))),
        r"X holds inputs of type float64 and shape \(3,\); this model takes float32 features \(batch, 20\)",
    ),
    "nan": (lambda at: load_exported(at / "m.pt2").predict(np.full((2, 20), np.nan)), "X contains NaN or infinity"),
    "empty": (lambda at: load_exported(at / "m.pt2").predict(np.zeros((0, 20))), "X is empty"),
}


class Branching(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3)).repeat(1, 7)[:, :20] if float(x.sum()) > 0 else x.flatten(1)[:, :20]


class Words:
    fingerprint = "1"

    def encode(self, texts):
        return np.zeros((len(texts), 20))


@pytest.mark.parametrize("case", BAD)
def test_bad_input(saved, case):
    call, message = BAD[case]
    before = {file.name: hash_file(file) for file in saved.iterdir()}
    with pytest.raises(LongwayError, match=message) as caught:
        call(saved)
    assert "\n" not in str(caught.value)
    assert {file.name: hash_file(file) for file in saved.iterdir()} == before


def test_a_graph_that_gives_something_else_is_not_kept(saved, tmp_path, monkeypatch):
    wrong = SimpleNamespace(run=lambda inputs: [np.zeros((1, 2))] * 2)
    monkeypatch.setattr("longway.exporting._export.load_exported", lambda *_, **__: wrong)
    with pytest.raises(LongwayError, match="does not give what the model gives, so it was not kept"):
        longway.export(saved / "m.safetensors", tmp_path / "new.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_not_installed(saved, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(LongwayError, match=r"export to ONNX needs onnxscript.*: pip install 'longway\[onnx\]'"):
        longway.export(saved / "m.safetensors", saved / "new.onnx")


def changed(source, target, name, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, change(content) if member.endswith(name) else content)
    return target


def in_json(change):
    def edit(content):
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()

    return edit


HARMFUL = {
    "pickled inputs": ("sample_inputs/model.pt", lambda _: b"cos\nsystem\n(S'true'\ntR."),
    "code to run": ("models/model.json", in_json(lambda m: m.update(guards_code=["print(1)"]))),
    "a call of 'torch.hub.load'": (
        "models/model.json",
        in_json(lambda m: m["graph_module"]["graph"]["nodes"][0].update(target="torch.hub.load")),
    ),
    "the expression ": (
        "models/model.json",
        lambda content: content.replace(b'"expr_str": "', b'"expr_str": "__import__(1).'),
    ),
    "the pickled tensor": (
        "model_weights_config.json",
        in_json(lambda m: next(iter(m["config"].values())).update(use_pickle=True)),
    ),
    "the object ": (
        "model_weights_config.json",
        in_json(lambda m: next(iter(m["config"].values())).update(path_name="custom_obj_0")),
    ),
}


@pytest.mark.parametrize("what", HARMFUL)
def test_a_file_that_would_run_code_is_not_read(saved, tmp_path, what):
    with pytest.raises(LongwayError, match=f"holds {what}.*it is not read"):
        load_exported(changed(saved / "m.pt2", tmp_path / "m.pt2", *HARMFUL[what]))


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_and_foreign_files(saved, tmp_path, suffix):
    (tmp_path / f"cut{suffix}").write_bytes((saved / f"m{suffix}").read_bytes()[:500])
    with pytest.raises(LongwayError, match=r"damaged|cannot be run as ONNX"):
        load_exported(tmp_path / f"cut{suffix}")
    if suffix == ".pt2":
        changed(saved / "m.pt2", tmp_path / "other.pt2", "longway.format.json", lambda _: b"null")
    else:
        import onnx

        model = onnx.load(saved / "m.onnx")
        del model.metadata_props[:]
        onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(LongwayError, match="was not exported by Longway: give a file that `longway export` wrote"):
        load_exported(tmp_path / f"other{suffix}")


LABEL = st.one_of(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, unique=True),
    st.lists(st.integers(-(2**62), 2**62), min_size=2, unique=True),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, unique=True),
)


@settings(max_examples=50, deadline=None)
@given(LABEL)
def test_labels_survive_the_metadata(labels):
    classes = np.unique(np.array(labels))
    record = Record("ERM", classes.tolist(), classes.dtype.str, "features", [3], "words", {}, "0.1", "none")
    again = Record.from_metadata(record.to_metadata(), "m.onnx")
    assert again == record
    assert again.labels.dtype == classes.dtype
    np.testing.assert_array_equal(again.labels, classes)


def test_features_from_disk_are_read_in_pieces(saved, tmp_path):
    np.save(tmp_path / "X.npy", DATA.X.astype(np.float16))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = longway.load(saved / "m.safetensors")
    for suffix in FORMATS:
        np.testing.assert_allclose(
            load_exported(saved / f"m{suffix}", device="cpu").predict_proba(X), model.predict_proba(X), atol=1e-6
        )
