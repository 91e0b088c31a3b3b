"""Forged model files, whose hash is right and whose content is not: one clear line each, and nothing is allocated."""

from __future__ import annotations

import contextlib
import copy
import json

import pytest
import torch
from safetensors import safe_open

import longway
from longway import ERM, LongwayError
from longway.datasets import make_planted_shortcut
from longway.utils.safetensors import write_tensors

DATA = make_planted_shortcut(80, correlation=0.8, seed=0)
ODD = (
    None,
    True,
    -1,
    10**9,
    float("nan"),
    "x",
    "../../x",
    [],
    [[[]]],
    {},
    {"array": [1], "dtype": "O"},
    {"mapping": {}},
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Return the header and the tensors of a saved model."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    longway.save(ERM(hidden=(4,), epochs=1).fit(DATA.X, DATA.y), path)
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["longway"])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def forged(tmp_path, header, tensors):
    header.pop("hash", None)
    write_tensors(tmp_path / "forged.safetensors", header, tensors)
    return tmp_path / "forged.safetensors"


def places(value, path=()):
    """Yield the path of every entry of a header, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))


def changed(header, path, change):
    """Return a copy of a header with one entry changed."""
    made = copy.deepcopy(header)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return made


def test_no_forged_header_breaks_anything(parts, tmp_path):
    header, tensors = parts
    read = 0
    for path in [path for path in places(header) if path[0] not in ("hash", "format", "longway", "about")]:
        forgeries = [changed(header, path, lambda inner, key, odd=odd: inner.__setitem__(key, odd)) for odd in ODD]
        for each in [changed(header, path, lambda inner, key: inner.pop(key)), *forgeries]:
            with contextlib.suppress(LongwayError):
                # Some are harmless, such as another seed.
                read += longway.load(forged(tmp_path, each, tensors)).predict(DATA.X[:5]).shape == (5,)
    assert read > 0


def nan(tensors):
    return {name: torch.full_like(each, torch.nan) if "weight" in name else each for name, each in tensors.items()}


WEIGHTS = {
    "NaN": (nan, "weights '[^']*' with NaN or infinity"),
    "infinite": (
        lambda t: {k: v / 0 if "bias" in k else v for k, v in t.items()},
        "weights '[^']*' with NaN or infinity",
    ),
    "no deviation": (lambda t: {k: v * 0 if k.endswith(".std") else v for k, v in t.items()}, "that are not above 0"),
    "one fewer": (
        lambda t: {k: v for k, v in t.items() if k != "module/linear.bias"},
        "weights that do not fit its ERM",
    ),
    "another shape": (
        lambda t: {k: v[..., :-1].contiguous() if "linear" in k else v for k, v in t.items()},
        "weights that do not fit its ERM",
    ),
    "another learnt value": (lambda t: {**t, "learnt/fit": torch.zeros(1)}, "the learnt value 'fit'"),
    "a method's name": (lambda t: {**t, "learnt/predict_": torch.zeros(1)}, None),
    "a private name": (lambda t: {**t, "learnt/__class__": torch.zeros(1)}, "the learnt value '__class__'"),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights_that_no_fit_gives(parts, tmp_path, what):
    change, message = WEIGHTS[what]
    path = forged(tmp_path, copy.deepcopy(parts[0]), change(parts[1]))
    if message is None:
        assert longway.load(path).predict(DATA.X[:3]).shape == (3,)
        return
    with pytest.raises(LongwayError, match=rf"forged.safetensors holds .*{message}.*fit again"):
        longway.load(path)


CLASSES = {
    "twice the same": {"array": ["a", "a"], "dtype": "<U1"},
    "NaN": {"array": [0.0, float("nan")], "dtype": "<f8"},
    "two axes": {"array": [[0, 1]], "dtype": "<i8"},
    "one": {"array": [1], "dtype": "<i8"},
    "more than logits": {"array": [0, 1, 2], "dtype": "<i8"},
    "no array": [0, 1],
}


@pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES)
def test_classes_that_no_fit_gives(parts, tmp_path, classes):
    header, tensors = copy.deepcopy(parts[0]), dict(parts[1])
    tensors.pop("learnt/classes_", None)
    header["learnt"]["classes_"] = classes
    with pytest.raises(LongwayError, match=r"forged.safetensors (holds|is damaged)"):
        longway.load(forged(tmp_path, header, tensors))


def test_a_network_of_80_gigabytes_is_not_allocated(parts, tmp_path):
    header = copy.deepcopy(parts[0])
    header["parameters"]["hidden"] = {"tuple": [10**9]}
    with pytest.raises(LongwayError, match="weights that do not fit its ERM"):
        longway.load(forged(tmp_path, header, parts[1]))


def test_a_deep_header(parts, tmp_path):
    deep: list = []
    for _ in range(900):
        deep = [deep]
    header = copy.deepcopy(parts[0])
    header["learnt"]["history_"] = deep
    with contextlib.suppress(LongwayError):
        longway.load(forged(tmp_path, header, parts[1]))
