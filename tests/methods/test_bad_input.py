"""What every method does with input that cannot be used: one line that names the argument and the way out."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy import sparse

import longway
from longway import ERM, HSFM, METHODS, RWG, CorruptFileError, LongwayError, Method
from longway.data.validation import check_images
from longway.datasets import make_planted_shortcut
from longway.methods._parameters import parameters_of
from longway.utils.rules import Choice

DATA = make_planted_shortcut(80, correlation=0.8, seed=0)
X, y, groups = DATA.X, np.array(["cow", "camel"])[DATA.y], DATA.groups
QUICK: dict[str, dict[str, Any]] = {
    "sitar": {"epochs": 1},
    "hsfm": {"epochs": 1},
    "rwg": {"group_inference_params": {"epochs": 1}},
    "subg": {"group_inference_params": {"epochs": 1}},
    "groupdro": {"group_inference_params": {"epochs": 1}},
    "lff": {"epochs": 1},
    "irm": {"epochs": 1, "group_inference_params": {"epochs": 1}},
    "vrex": {"epochs": 1, "group_inference_params": {"epochs": 1}},
    "chromavae": {"epochs": 1},
    "generativeclassifier": {"epochs": 1},
    "diffusionclassifier": {"epochs": 1, "n_draws": 2, "width": 8},
    "freezethentrain": {"epochs": 1},
    "repspectral": {"epochs": 1},
    "gccs": {"epochs": 1},
    "semanticanchor": {"epochs": 1},
    "dfr": {"group_inference_params": {"epochs": 1}, "n_refits": 2},
}

every = pytest.mark.parametrize("name", METHODS)
taking_images = [name for name, cls in METHODS.items() if cls.takes_images]


def make(name: str, **changes: Any) -> Method:
    return METHODS[name](**{**QUICK.get(name, {}), **changes})


def refused(message: str, call: Callable[[], object], kind: type[LongwayError] = LongwayError) -> None:
    """Check that a call fails with one clear line."""
    with pytest.raises(kind, match=message) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 500
    json.dumps(line)


def with_value(value: float) -> np.ndarray:
    spoilt = X.copy()
    spoilt[7, 3] = value
    return spoilt


FIT: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"X": with_value(np.nan)}, "X contains NaN or infinity: NaN at row 7, position 3; drop or impute"),
    "infinity": ({"X": with_value(-np.inf)}, "X contains NaN or infinity: inf at row 7, position 3"),
    "NaN in float16": ({"X": with_value(np.nan).astype(np.float16)}, "X contains NaN or infinity: NaN at row 7"),
    "one number": ({"X": 3.0}, "X cannot be used: Expected 2D array, got scalar array"),
    "one feature as a row": ({"X": X[:, 0]}, "X cannot be used: Expected 2D array, got 1D array instead. Reshape"),
    "three dimensions": ({"X": X[:, :, None]}, "X cannot be used: Found array with dim 3"),
    "no rows": ({"X": X[:0], "y": y[:0]}, r"X cannot be used: Found array with 0 sample\(s\)"),
    "no features": ({"X": X[:, :0]}, r"X cannot be used: Found array with 0 feature\(s\)"),
    "words": ({"X": X.astype(str).astype(object) + "m"}, "X cannot be used: could not convert string to float"),
    "complex": ({"X": X * 1j}, "X cannot be used: Complex data not supported"),
    "sparse": ({"X": sparse.csr_array(X)}, "Sparse data was passed for X"),
    "rows of different lengths": (
        {"X": [[1.0], [1.0, 2.0]], "y": [0, 1]},
        "X cannot be used: setting an array element",
    ),
    "labels too few": ({"y": y[:-1]}, "y has 79 labels for 80 rows of X: the lengths must be equal"),
    "no labels": ({"y": None}, "y is None"),
    "one class": ({"y": np.full(80, "cow")}, r"y holds one class only \('cow'\): a classifier needs samples of two"),
    "labels in two columns": ({"y": np.stack([y, y], 1)}, r"y should be a 1d array, got an array of shape \(80, 2\)"),
    "real numbers as labels": ({"y": X[:, 0]}, "y cannot be used: Unknown label type: continuous"),
    "dates as labels": (
        {"y": np.full(80, "2020-01-01", "M8[D]")},
        r"y holds labels of type datetime64\[D\]: give strings",
    ),
    "NaN among labels": ({"y": np.where(y == "cow", 1.0, np.nan)}, r"y has no label at row \d+ \(\d+ in all\): drop"),
    "None among labels": ({"y": [None, *y[1:]]}, r"y has no label at row 0 \(1 in all\): drop these rows"),
    "weights too few": (
        {"sample_weight": np.ones(79)},
        r"sample_weight has shape \(79,\); it must be \(80,\), one for",
    ),
    "negative weight": ({"sample_weight": [-1.0] + [1.0] * 79}, "sample_weight is -1 at row 0: weights must be finite"),
    "NaN weight": ({"sample_weight": [1.0, np.nan] + [1.0] * 78}, "sample_weight is nan at row 1: weights must be"),
    "infinite weight": ({"sample_weight": [np.inf] * 80}, "sample_weight is inf at row 0: weights must be finite"),
    "zero weights": ({"sample_weight": np.zeros(80)}, "sample_weight is zero for all samples"),
    "weight on one class": ({"sample_weight": (y == "cow").astype(float)}, "sample_weight is zero for all samples but"),
    "words as weights": ({"sample_weight": ["a"] * 80}, "sample_weight cannot be used: could not convert"),
    "groups too few": ({"groups": groups[:-1]}, r"groups has shape \(79,\); it must be one group for each of the 80"),
    "missing group": ({"groups": [None] * 80}, "groups holds missing values: give every row a group"),
    "eval_set as a list": ({"eval_set": [X, y]}, r"eval_set must be a tuple \(X, y\) or \(X, y, groups\)"),
    "eval_set without labels": ({"eval_set": (X,)}, r"eval_set must be a tuple \(X, y\) or \(X, y, groups\)"),
    "eval_set of four": ({"eval_set": (X, y, groups, y)}, r"eval_set must be a tuple"),
    "eval_set of another width": ({"eval_set": (X[:, :2], y)}, "eval_set X cannot be used: X has 2 features, but"),
    "NaN in eval_set": ({"eval_set": (with_value(np.nan), y)}, "eval_set X contains NaN or infinity: NaN at row 7"),
    "eval_set labels too few": ({"eval_set": (X, y[:3])}, "eval_set y has 3 labels for 80 rows of X"),
    "new label in eval_set": (
        {"eval_set": (X, np.where(y == "cow", "yak", y))},
        "eval_set y holds labels that the training data did not: 'yak'; known are 'camel', 'cow'",
    ),
    "labels of another kind in eval_set": ({"eval_set": (X, DATA.y)}, "eval_set y holds labels that the training data"),
    "eval_set groups too few": ({"eval_set": (X, y, groups[:3])}, r"eval_set groups has shape \(3,\); it must be one"),
}


@every
@pytest.mark.parametrize("case", FIT)
def test_fit(name, case):
    given, message = FIT[case]
    arguments = {"X": X, "y": y, **given}
    refused(message, lambda: make(name).fit(arguments.pop("X"), arguments.pop("y"), **arguments))


WRONG: dict[str, list[Any]] = {
    "Whole": [0, -1, 2.5, "ten", None, True],
    "Number": [-1e300, np.nan, np.inf, "fast", None],
    "ListOf": [1.0, [-1], ["high"], "16"],
    "Choice": ["wrst", 3, None],
    "Other": [object()],
    "OrNone": [object()],
}
"""Values that no rule of a kind accepts."""


def test_every_parameter_has_a_rule():
    for name, method in METHODS.items():
        for parameter, declared in parameters_of(method).items():
            assert declared.rule is not None, f"{name}: {parameter}"
            assert declared.rule.accepts(declared.default), f"{name}: {parameter}"
            for value in WRONG[type(declared.rule).__name__]:
                assert not declared.rule.accepts(value), f"{name}: {parameter}={value!r}"


@every
def test_parameters_out_of_range(name):
    for parameter, declared in parameters_of(METHODS[name]).items():
        value = WRONG[type(declared.rule).__name__][0]
        words = "is unknown; " if isinstance(declared.rule, Choice) else f"must be {declared.rule.words}"
        message = "^" + re.escape(f"{parameter}={value!r} {words}")
        refused(message, lambda given={parameter: value}: make(name, **given).fit(X, y))


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("epochs", 0, "epochs=0 must be a whole number, 1 or more"),
        ("learning_rate", 0, "learning_rate=0 must be a number above 0"),
        ("l2", -1, "l2=-1 must be a number, 0 or more"),
        ("hidden", 16, "hidden=16 must be a list of whole numbers, each 1 or more"),
        ("averaging", 1.1, "averaging=1.1 must be a number from 0 to 1"),
        ("validation_fraction", 1, "validation_fraction=1 must be a number between 0 and 1"),
        ("random_state", -1, r"random_state=-1 must be a whole number from 0 to 2\*\*32 - 1, a RandomState or None"),
        ("device", 0, "device=0 must be a string such as 'auto', 'cpu' or 'cuda'"),
        ("verbose", "yes", "verbose='yes' must be a whole number, 0 or more"),
        ("selection", "wrst_group", "selection='wrst_group' is unknown; did you mean 'worst_group'[?] Known: auto, "),
        ("group_inference", "axs", "group_inference='axs' is unknown; did you mean 'axes'[?] Known: auto, "),
        ("group_inference_params", 3, "group_inference_params=3 must be a mapping or None"),
    ],
)
def test_the_words_of_a_refusal(parameter, value, message):
    refused(message, lambda: RWG(**{parameter: value}).fit(X, y))


def test_options_of_inferring_groups():
    refused(
        "group_inference_params has no 'latent_dims' .*did you mean 'latent_dim'",
        lambda: RWG(group_inference_params={"latent_dims": 1}).fit(X, y),
    )
    refused(
        "group_inference_params: min_relative_score=2 must be a number above 0, at most 1",
        lambda: RWG(group_inference_params={"min_relative_score": 2}).fit(X, y),
    )


@every
def test_devices(name):
    refused(
        r"device='gpu' cannot be used \(.*\); give 'auto', 'cpu' or 'cuda'", lambda: make(name, device="gpu").fit(X, y)
    )
    refused("device='cuda:99' cannot be used", lambda: make(name, device="cuda:99").fit(X, y))


@every
def test_published_settings(name):
    cls = METHODS[name]
    hint = "Known: " if cls.published else "it has none"
    refused(f"{cls.__name__} has no published setting 'x'; {hint}", lambda: cls.from_paper("x"))
    for setting in cls.published:
        hint = "did you mean 'random_state'[?]"
        refused(f"no parameter 'random_stat'; {hint}", lambda name=setting: cls.from_paper(name, random_stat=1))


def test_the_nearest_published_setting():
    refused("'waterbird'; did you mean 'waterbirds'[?]", lambda: HSFM.from_paper("waterbird"))


@every
def test_predict(name):
    fitted = make(name).fit(X, y)
    width = X.shape[1]
    for call in (fitted.predict, fitted.predict_proba, fitted.decision_function):
        refused(
            f"X has 2 features, but {type(fitted).__name__} is expecting {width} features", lambda c=call: c(X[:, :2])
        )
        refused("X contains NaN or infinity: NaN at row 7, position 3", lambda c=call: c(with_value(np.nan)))
        refused("Expected 2D array, got 1D array instead", lambda c=call: c(X[0]))
        refused("X holds images of shape", lambda c=call: c(np.zeros((2, 3, 8, 8))))


@every
def test_groups_that_the_validation_data_lack(name):
    """No error: a group, or a class, may be absent from the validation data."""
    for kept in (groups != groups[0], y == "cow"):
        fitted = make(name).fit(X, y, groups=groups, eval_set=(X[kept], y[kept], groups[kept]))
        assert set(fitted.predict(X)) <= {"camel", "cow"}
        assert not any(np.isnan(value) for record in fitted.history_ for value in record.values())


@every
def test_groups_never_seen_in_training(name):
    """No error: validation rows may be of groups of their own."""
    known = np.array(["farm", "zoo"])[groups % 2]
    others = np.where(np.arange(len(y)) < 9, "wild", known)
    fitted = make(name).fit(X, y, groups=known, eval_set=(X, y, others))
    assert set(fitted.predict(X)) <= {"camel", "cow"}
    assert not any(np.isnan(value) for record in fitted.history_ for value in record.values())


def test_worst_group_without_groups():
    message = "selection='worst_group' needs groups of the validation data: give eval_set=.*or a rule without groups"
    refused(message, lambda: HSFM(selection="worst_group", epochs=1).fit(X, y))
    refused(message, lambda: ERM(selection="worst_group", hidden=(4,)).fit(X, y))


IMAGES = np.random.default_rng(0).random((40, 3, 8, 8))
IMAGE_LABELS = np.arange(40) % 2


@pytest.mark.parametrize("name", taking_images)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x.astype(str), r"X holds images of type <U\d+; give floats in \[0, 1\] or uint8"),
        (
            lambda x: x.transpose(0, 2, 3, 1),
            r"X has shape \(40, 8, 8, 3\): images must be \(n, channels, height, width\)",
        ),
        (lambda x: x[:, :, :3], "X holds images of 3x8 pixels; at least 4x4 are needed"),
        (lambda x: x[:0], "X is empty"),
        (
            lambda x: (255 * x).astype(int),
            r"X holds pixel values from 0 to 25\d: bring them to \[0, 1\], or give uint8",
        ),
        (lambda x: 4 * x - 2, r"X holds pixel values from -[12].* to [12].*: bring them to \[0, 1\]"),
        (
            lambda x: np.where(x == x.max(), np.nan, x),
            r"X contains NaN or infinity: NaN at row \d+, position \d, \d, \d",
        ),
    ],
)
def test_images(name, spoil, message):
    refused(message, lambda: make(name).fit(spoil(IMAGES), IMAGE_LABELS))


def test_images_of_8_and_16_bits_are_the_same():
    eight = (255 * IMAGES).round().astype(np.uint8)
    sixteen = eight.astype(np.uint16) * 257
    np.testing.assert_allclose(check_images(sixteen, "X"), check_images(eight, "X"), rtol=1e-6)
    assert check_images(eight, "X").max() <= 1


@every
def test_images_where_features_were_or_the_other_way_round(name):
    if name not in taking_images:
        return refused(
            r"X holds images .*takes features \(n, d\): embed them", lambda: make(name).fit(IMAGES, IMAGE_LABELS)
        )
    fitted = make(name).set_params(epochs=1).fit(IMAGES, IMAGE_LABELS)
    refused(r"X must hold images of shape \(3, 8, 8\)", lambda: fitted.predict(X))
    refused(
        r"X holds images of shape \(1, 8, 8\); this model was fitted on \(3, 8, 8\)",
        lambda: fitted.predict(IMAGES[:, :1]),
    )
    return None


# Saved models


@pytest.fixture
def saved(tmp_path) -> Path:
    longway.save(ERM().fit(X, y), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


def flip(content: bytes) -> bytes:
    """Turn one bit of a weight."""
    return content[:-3] + bytes([content[-3] ^ 4]) + content[-2:]


SPOILT: dict[str, tuple[Callable[[Path], object], type[LongwayError], str]] = {
    "missing": (Path.unlink, LongwayError, "no such file; give the path of a model that `longway fit` saved"),
    "empty": (rewritten(lambda _: b""), CorruptFileError, "is damaged or no safetensors file"),
    "cut short": (rewritten(lambda content: content[:-40]), CorruptFileError, "is damaged or no safetensors file"),
    "cut in its header": (rewritten(lambda content: content[:100]), CorruptFileError, "is damaged or no safetensors"),
    "longer": (rewritten(lambda content: content + b"x"), CorruptFileError, "is damaged or no safetensors file"),
    "one bit turned": (rewritten(flip), CorruptFileError, "is damaged .*: fit again"),
    "one label changed": (
        rewritten(lambda content: content.replace(b"camel", b"camet")),
        CorruptFileError,
        "is damaged .*: fit again",
    ),
    "garbage": (rewritten(lambda _: b"garbage" * 99), CorruptFileError, "is damaged or no safetensors file"),
    "JSON": (lambda path: path.write_text('{"a": 1}'), CorruptFileError, "is damaged or no safetensors file"),
    "other weights": (
        lambda path: save_file({"weight": np.ones(3)}, path),
        CorruptFileError,
        "was not saved by Longway: give a model that `longway fit` saved",
    ),
    "another header": (
        lambda path: save_file({"weight": np.ones(3)}, path, metadata={"longway": "[]"}),
        CorruptFileError,
        "was not saved by Longway",
    ),
    "a newer format": (
        lambda path: save_file({"w": np.ones(3)}, path, {"longway": '{"format": 9, "longway": "9.9", "hash": ""}'}),
        LongwayError,
        "was saved by Longway 9.9, which is newer than this one: update",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_model_file_that_cannot_be_used(saved, case):
    spoil, kind, message = SPOILT[case]
    spoil(saved)
    refused(f"m.safetensors.*{message}", lambda: longway.load(saved), kind)


def test_a_folder_is_no_model(tmp_path):
    refused("is a folder, not a model: give the file that `longway fit` saved", lambda: longway.load(tmp_path))


def test_what_cannot_be_saved(tmp_path, saved):
    before = saved.read_bytes()
    fitted = ERM(random_state=np.random.RandomState(0)).fit(X, y)
    refused("random_state is a RandomState, which cannot be saved; give a number", lambda: longway.save(fitted, saved))
    assert saved.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


SCRIPT = """
import os, resource, sys, time
import numpy as np
import longway, longway.utils.storage as storage
mode, path = sys.argv[1:]
X = np.random.default_rng(0).normal(size=(40, 500))
model = longway.ERM().fit(X, np.arange(40) % 2)
if mode == "kill":
    def wait(descriptor):
        print("writing", flush=True)
        time.sleep(60)
    os.fsync = wait
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
try:
    longway.save(model, path)
except longway.LongwayError as error:
    print(error)
"""


def test_a_full_disk_while_saving(saved):
    pytest.importorskip("resource", reason="this system has no limits on the size of files")
    before = saved.read_bytes()
    command = [sys.executable, "-c", SCRIPT, "full", str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"no space left to write {saved}: free some space or choose another path\n"
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["m.safetensors"]


def test_kill_9_while_saving(saved):
    before = saved.read_bytes()
    with subprocess.Popen([sys.executable, "-c", SCRIPT, "kill", str(saved)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert saved.read_bytes() == before
    (left,) = (path for path in saved.parent.iterdir() if path != saved)
    assert left.name.startswith(".m.safetensors.partial-")
    longway.load(saved)
