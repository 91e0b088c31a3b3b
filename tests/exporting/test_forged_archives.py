"""Forged .pt2 files: none runs code, each gives one clear line."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pytest

import longway
from longway import ERM, LongwayError, load_exported
from longway.cli import main
from longway.exporting import archive as archive_module

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
INPUTS, WEIGHT, CONSTANTS = "data/sample_inputs/model.pt", "data/weights/weight_0", "data/constants/tensor_0"
MODEL, OTHER = "models/model.json", "models/other.json"


class Command:
    """Makes a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "m.pt2"
    longway.export(ERM().fit(X, (X[:, 0] > 0).astype(int)), path)
    with zipfile.ZipFile(path) as file:
        return [(name, file.read(name)) for name in file.namelist()]


def packed(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path.read_bytes()


def swapped(content, old, new, *, local):
    """Rename the first member ``old`` in its local header, or in the central directory alone."""
    old, new = old.encode(), new.encode()
    assert len(old) == len(new)
    first = content.index(old)
    at = first if local else content.index(old, content.index(b"PK\1\2"))
    return content[:at] + new + content[at + len(new) :]


def edited(members, file, change):
    def edit(content):
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()

    return [(name, edit(content) if name.endswith(file) else content) for name, content in members]


def graph(value):
    return value["graph_module"]["graph"]


def renamed_input(value):
    code = "features, y=open(FILE, 'w')"
    text = json.dumps(value).replace('"features"', json.dumps(code))
    value.clear()
    value.update(json.loads(text))


def structure(context, kind="builtins.dict"):
    node = {"type": kind, "context": context, "children_spec": []}
    return lambda m: m["graph_module"]["module_call_graph"][0]["signature"].update(out_spec=json.dumps([1, node]))


IMPORT = json.dumps({"__enum__": True, "fqn": "antigravity:x", "name": "x"})

# Entries from those of a real file and a pickle that runs code
LAYOUTS = {
    "pickled inputs": lambda m, p: [(n, p if n.endswith(INPUTS) else c) for n, c in m],
    "twice, pickle first": lambda m, p: [(f"archive/{INPUTS}", p), *m],
    "twice, pickle last": lambda m, p: [*m, (f"archive/{INPUTS}", p)],
    "three times": lambda m, p: [(f"archive/{INPUTS}", b""), (f"archive/{INPUTS}", p), *m],
    "another root first": lambda m, p: [(f"a/{INPUTS}", p), *m],
    "another root last": lambda m, p: [*m, (f"z/{INPUTS}", p)],
    "two whole roots": lambda m, p: [*((n.replace("archive", "a"), p if n.endswith(INPUTS) else c) for n, c in m), *m],
    "no root": lambda m, p: [(INPUTS, p), *m],
    "empty root": lambda m, p: [(f"/{INPUTS}", p), *m],
    "nested root": lambda m, p: [(f"archive/archive/{INPUTS}", p), *m],
    "dot": lambda m, p: [(f"archive/./{INPUTS}", p), *m],
    "upward": lambda m, p: [(f"archive/../archive/{INPUTS}", p), *m],
    "backslash": lambda m, p: [("archive\\" + INPUTS.replace("/", "\\"), p), *m],
    "case of the file": lambda m, p: [(f"archive/{INPUTS.upper()}", p), *m],
    "case of the root": lambda m, p: [(f"ARCHIVE/{INPUTS}", p), *m],
    "zero byte": lambda m, p: [(f"archive/{INPUTS}\0x", p), *m],
    "legacy weights": lambda m, p: [*m, ("archive/data/weights/model.pt", p)],
    "legacy constants": lambda m, p: [*m, ("archive/data/constants/model.pt", p)],
    "custom object": lambda m, p: [*m, ("archive/data/constants/custom_obj_0", p)],
    "opaque object": lambda m, p: [*m, ("archive/data/constants/opaque_obj_0", p)],
    "second weights": lambda m, p: [*m, (f"archive/{WEIGHT}", p)],
    "second config": lambda m, p: [*m, ("archive/data/weights/model_weights_config.json", b'{"config": {}}')],
    "second model": lambda m, p: [*m, (f"archive/{OTHER}", dict(m)[f"archive/{MODEL}"])],
    "compiled library": lambda m, p: [*m, ("archive/data/aotinductor/model/model.so", p)],
    "format of 2.7": lambda m, p: [
        ("version", b"8.20"),
        ("serialized_exported_program.json", dict(m)[f"archive/{MODEL}"]),
        *((f"serialized_{part}.pt", p) for part in ("state_dict", "constants", "example_inputs")),
    ],
    "pickled weight": lambda m, p: [
        (n, p if n.endswith(WEIGHT) else c)
        for n, c in edited(m, "weights_config.json", lambda v: next(iter(v["config"].values())).update(use_pickle=True))
    ],
    "use_pickle=1": lambda m, p: edited(
        m, "weights_config.json", lambda v: next(iter(v["config"].values())).update(use_pickle=1)
    ),
    "name that is code": lambda m, p: edited(m, MODEL, renamed_input),
    "name of a weight": lambda m, p: edited(
        m, "weights_config.json", lambda v: v["config"].update({'a"+open()+"': next(iter(v["config"].values()))})
    ),
    "structure that imports": lambda m, p: edited(m, MODEL, structure(IMPORT)),
    "structure of keys that import": lambda m, p: edited(m, MODEL, structure(f"[{IMPORT}]")),
    "other structure": lambda m, p: edited(m, MODEL, structure("[]", "collections.defaultdict")),
    "operator as argument": lambda m, p: edited(
        m, MODEL, lambda v: graph(v)["nodes"][0]["inputs"][0].update(arg={"as_operator": "torch.load"})
    ),
    "file as tensor": lambda m, p: edited(
        m, MODEL, lambda v: graph(v)["nodes"][0].update(target="torch.ops.aten.from_file.default")
    ),
    "memory": lambda m, p: edited(
        m, MODEL, lambda v: graph(v)["nodes"][0].update(target="torch.ops.aten._unsafe_index.Tensor")
    ),
    "target that is none": lambda m, p: edited(m, MODEL, lambda v: graph(v)["nodes"][0].update(target="_operator")),
    "guards": lambda m, p: edited(m, MODEL, lambda v: v.update(guards_code=["open('x', 'w')"])),
    "power": lambda m, p: [
        (n, c.replace(b"Symbol('s", b"9**9**9**9 + Symbol('s") if n.endswith(MODEL) else c) for n, c in m
    ],
    "huge tensor": lambda m, p: edited(
        m,
        "weights_config.json",
        lambda v: next(iter(v["config"].values()))["tensor_meta"].update(sizes=[{"as_int": 10**12}]),
    ),
    "deep": lambda m, p: [(n, b"[" * 10**5 if n.endswith(MODEL) else c) for n, c in m],
    "deep structure": lambda m, p: edited(m, MODEL, structure("[" * 1000 + "]" * 1000)),
    "empty": lambda m, p: [],
    "only folders": lambda m, p: [("archive/", b"")],
}

# Bytes from those of a real file, of one with a pickle of the same name, and the pickle
RAW = {
    "raw pickle": lambda whole, bad, p: p,
    "no bytes": lambda whole, bad, p: b"",
    "data before": lambda whole, bad, p: b"#!/bin/sh\n" + whole,
    "pickle before": lambda whole, bad, p: p + whole,
    "archive before": lambda whole, bad, p: bad + whole,
    "archive after": lambda whole, bad, p: whole + bad,
    "data after": lambda whole, bad, p: whole + b"x",
    "pickle after": lambda whole, bad, p: whole + p,
    "comment": lambda whole, bad, p: whole[:-2] + len(bad).to_bytes(2, "little") + bad,
    "other name in the local header": lambda whole, bad, p: swapped(bad, INPUTS, f"extra/{'x' * 16}.json", local=True),
    "other name in the directory": lambda whole, bad, p: swapped(bad, INPUTS, f"extra/{'x' * 16}.json", local=False),
    "cut": lambda whole, bad, p: whole[:-100],
}


def attempt(path, ran):
    with pytest.raises(LongwayError, match=r"it is not read; export again|damaged or no \.pt2 file: export") as caught:
        load_exported(path).predict(X)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not ran.exists()


@pytest.mark.parametrize("case", LAYOUTS)
def test_no_layout_runs_code(members, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    ran = tmp_path / "x"
    entries = LAYOUTS[case](members, pickle.dumps(Command(ran)))
    packed(tmp_path / "m.pt2", [(n, c.replace(b"FILE", b"'x'") if n.endswith(MODEL) else c) for n, c in entries])
    attempt(tmp_path / "m.pt2", ran)


@pytest.mark.parametrize("case", RAW)
def test_no_bytes_around_an_archive_run_code(members, tmp_path, case):
    ran = tmp_path / "x"
    payload = pickle.dumps(Command(ran))
    whole = packed(tmp_path / "m.pt2", members)
    bad = packed(tmp_path / "bad.pt2", LAYOUTS["pickled inputs"](members, payload))
    (tmp_path / "m.pt2").write_bytes(RAW[case](whole, bad, payload))
    attempt(tmp_path / "m.pt2", ran)


def test_compressed_archives_are_not_inflated(members, tmp_path):
    bomb = [(n, b" " * 10**7 + c if n.endswith(MODEL) else c) for n, c in members]
    packed(tmp_path / "m.pt2", bomb, zipfile.ZIP_DEFLATED)
    with pytest.raises(LongwayError, match="holds compressed parts"):
        load_exported(tmp_path / "m.pt2")


@pytest.mark.parametrize(("constant", "what"), [("MEMBERS", "parts"), ("LARGEST_GRAPH", "damaged")])
def test_caps(members, tmp_path, monkeypatch, constant, what):
    packed(tmp_path / "m.pt2", members)
    monkeypatch.setattr(archive_module, constant, 10)
    with pytest.raises(LongwayError, match=what):
        load_exported(tmp_path / "m.pt2")


def test_torch_reads_what_was_checked(members, tmp_path, monkeypatch):
    packed(tmp_path / "m.pt2", members)
    clean = archive_module.clean_archive

    def exchanged(content, name):
        answer = clean(content, name)
        (tmp_path / "m.pt2").write_bytes(b"another file, exchanged after the check")
        return answer

    monkeypatch.setattr("longway.exporting.pt2_file.clean_archive", exchanged)
    assert len(load_exported(tmp_path / "m.pt2").predict(X)) == len(X)


def test_predict_prints_one_line(members, tmp_path, capsys):
    ran = tmp_path / "x"
    packed(tmp_path / "m.pt2", LAYOUTS["twice, pickle first"](members, pickle.dumps(Command(ran))))
    np.savez(tmp_path / "data.npz", X=X)
    with pytest.raises(SystemExit) as caught:
        main(["predict", str(tmp_path / "m.pt2"), str(tmp_path / "data.npz"), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert "holds the part 'data/sample_inputs/model.pt' twice" in error
    assert error.count("\n") == 1
    assert not ran.exists()
