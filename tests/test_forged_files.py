"""Forged exported files, feature folders, arrays and audits: each one clear line."""

from __future__ import annotations

import copy
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from forging import places

import longway
from longway import ERM, LongwayError, load_exported, read
from longway.auditing.compare import compare_audits, read_audit
from longway.backbones import load_backbone
from longway.exporting.record import Record

STORED = Path(__file__).parent / "stored"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


JUNK = (KeyError, None, True, -1, 10**9, 10**400, 1.5, float("nan"), "x", "", [], [[]], {}, nested(30), nested(200))


def changes(value):
    """Yield copies of a record, each with one part dropped or replaced by junk."""
    for *above, last in list(places(value)):
        for junk in JUNK:
            copied = inner = copy.deepcopy(value)
            for key in above:
                inner = inner[key]
            if junk is KeyError:
                del inner[last]
            else:
                inner[last] = junk
            yield copied


def refused_or_harmless(call):
    line = ""
    try:
        call()
    except LongwayError as error:
        line = str(error)
    assert "\n" not in line
    assert len(line) < 1000


@pytest.mark.parametrize("kind", ["features", "tokens"])
def test_records_of_exported_files(kind):
    tokens = {"rules": "{}", "max_length": 5, "pad": 0} if kind == "tokens" else None
    shape = [] if kind == "tokens" else [3]
    form = {"backbone": {"name": "a", "fingerprint": "b"}, "size": 5, "columns": ["a"], "crop": 0.5, "texts": False}
    about = {"data": {"label": "y"}, "train_counts": {"a": 1}}
    record = Record(
        "ERM", ["a", "b"], "<U1", kind, shape, "words", form, "0.1", "none", tokenizer=tokens, about=about
    ).to_metadata()
    plain = {name.removeprefix("longway."): json.loads(text) for name, text in record.items()}
    assert Record.from_metadata(record, "m.onnx").kind == kind
    for changed in changes(plain):
        metadata = {f"longway.{name}": json.dumps(value) for name, value in changed.items()}
        refused_or_harmless(lambda: Record.from_metadata(metadata, "m.onnx"))  # noqa: B023


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["a", "a"]}, "classes"),
        ({"classes": [1.0, float("nan")], "classes_dtype": "<f8"}, "classes"),
        ({"classes": [["a"], ["b"]]}, "classes"),
        ({"classes_dtype": "<U400000000"}, "classes_dtype"),
        ({"shape": [-1]}, "shape"),
        ({"kind": "images"}, "shape"),
        ({"kind": "code"}, "kind"),
        ({"tokenizer": {"rules": "", "max_length": 10, "pad": 0}}, "tokenizer"),
        ({"form": {"interpolation": "code"}}, "interpolation"),
        ({"about": nested(100)}, "was not exported by Longway"),
    ],
)
def test_an_inconsistent_record(change, message):
    record = Record("ERM", ["a", "b"], "<U1", "features", [3], "words", {}, "0.1", "none").to_metadata()
    record |= {f"longway.{name}": json.dumps(value) for name, value in change.items()}
    with pytest.raises(LongwayError, match=rf"m\.onnx .*{message}"):
        Record.from_metadata(record, "m.onnx")


def test_headers_of_feature_folders(tmp_path):
    folder = tmp_path / "features"
    shutil.copytree(STORED / "features-v0", folder)
    meta = json.loads((folder / "meta.json").read_text())
    for changed in changes(meta):
        (folder / "meta.json").write_text(json.dumps(changed))
        refused_or_harmless(lambda: read(folder))


def test_features_that_are_no_array(tmp_path):
    folder = tmp_path / "features"
    shutil.copytree(STORED / "features-v0", folder)
    for content in (b"cos\nsystem\n(S'true'\ntR.", b"", b"\x93NUMPY\x01\x00" + b"\xff" * 100, npy("O", (8, 12))):
        (folder / "features.npy").write_bytes(content)
        with pytest.raises(LongwayError, match="is damaged or cut short"):
            read(folder)
    for name in ("features.npy", "rows.parquet"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(LongwayError, match=f"lacks {name}"):
            read(folder)
        (folder / name).unlink()
        shutil.copy(STORED / "features-v0" / name, folder / name)


def npy(dtype, shape):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("X.npy", npy("<f4", (10**12, 4)))], "cut short"),
        ([("X.npy", npy("<f4", (-5, 4)))], "cut short|damaged"),
        ([("X.npy", npy("<f4", (2**62, 2**62)))], "cut short"),
        ([("X.npy", npy("|O", (4, 4)))], "Python objects"),
        ([("X.npy", npy("<f4", "(" * 5000))], "damaged"),
        ([("X.npy", b"cos\nsystem\n(S'true'\ntR.")], "damaged"),
        ([("X.npy", npy("<f4", (0, 4))), ("a/X.npy", npy("<f4", (0, 4)))], "two arrays of one name"),
    ],
)
def test_forged_npz(tmp_path, members, message):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as file:
        for name, content in members:
            file.writestr(name, content)
    with pytest.raises(LongwayError, match=message):
        read(tmp_path / "data.npz")


def test_records_of_audits(tmp_path):
    audit = json.loads((STORED / "audit-v0.json").read_text())
    audit["candidates"], audit["slices"] = audit["candidates"][:1], audit["slices"][:1]
    path = tmp_path / "audit.json"
    first = {name: audit[name] for name in ("format", "source", "n", "classes", "model", "verdict")}
    for changed in changes({**first, "candidates": audit["candidates"], "slices": audit["slices"]}):
        path.write_text(json.dumps(changed))
        refused_or_harmless(lambda: compare_audits(read_audit(path), read_audit(path)).to_dict())


onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "m.onnx"
    longway.export(ERM().fit(X, Y), path)
    return onnx.load(path)


def weights(value):
    def change(model):
        part = model.graph.initializer[0]
        array = np.array(onnx.numpy_helper.to_array(part))
        array[...] = value
        part.CopyFrom(onnx.numpy_helper.from_array(array, part.name))

    return change


def external(location):
    def change(model):
        part = model.graph.initializer[0]
        part.ClearField("raw_data")
        part.data_location = onnx.TensorProto.EXTERNAL
        entry = part.external_data.add()
        entry.key, entry.value = "location", location

    return change


def endless(model):
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["c"], ["d"])],
        "body",
        [onnx.helper.make_tensor_value_info("i", 7, []), onnx.helper.make_tensor_value_info("c", 9, [])],
        [onnx.helper.make_tensor_value_info("d", 9, [])],
    )
    model.graph.node.insert(0, onnx.helper.make_node("Loop", ["", ""], [], body=body))


FORGED = {
    "NaN": (weights(float("nan")), "has NaN weights"),
    "infinite": (weights(float("inf")), "NaN or infinite logits"),
    "loop": (endless, "holds a Loop, which may never end"),
    "external": (external("/etc/passwd"), "keeps weights in other files"),
    "outputs": (lambda m: setattr(m.graph.output[0], "name", "other"), "export"),
    "inputs": (lambda m: setattr(m.graph.input[0], "name", "other"), "export"),
    "classes": (
        lambda m: [
            setattr(entry, "value", "[0, 1, 2]") for entry in m.metadata_props if entry.key == "longway.classes"
        ],
        "for 3 classes: it is damaged",
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_onnx(exported, tmp_path, case):
    change, message = FORGED[case]
    model = onnx.ModelProto()
    model.CopyFrom(exported)
    change(model)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(LongwayError, match=message) as caught:
        load_exported(tmp_path / "m.onnx").predict(X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("../secret", "outside its folder"),
        ("/etc/passwd", "outside its folder"),
        ("/dev/zero", "outside its folder"),
        ("link", "outside its folder"),
        ("pipe", "which is no file"),
        ("gone", "which is no file"),
        (".", "which is no file"),
    ],
)
def test_weights_of_a_backbone_outside_its_folder(exported, tmp_path, location, message):
    folder = tmp_path / "backbone"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(100))
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    model = onnx.ModelProto()
    model.CopyFrom(exported)
    external(location)(model)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(LongwayError, match=message):
        load_backbone(str(folder / "m.onnx"), device="cpu")
