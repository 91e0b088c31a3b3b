import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import longway
from longway.auditing import LEVELS, Advice
from longway.auditing.association import holm
from longway.auditing.pca import PCASpace
from longway.datasets import make_planted_shortcut


@pytest.fixture(scope="module")
def planted():
    drawn = make_planted_shortcut(1000, correlation=0.95, seed=100)
    return drawn, longway.audit(drawn.X, drawn.y)


def test_a_planted_shortcut_is_strong_evidence_and_comes_first(planted):
    drawn, found = planted
    assert found.verdict.level == "strong evidence"
    first = found.candidates[0]
    own = drawn.y == 0
    assert abs(roc_auc_score(drawn.shortcut[own], first.values[own]) - 0.5) > 0.45
    assert found.verdict.method in longway.METHODS
    assert found.verdict.expected_gain.low < found.verdict.expected_gain.value < found.verdict.expected_gain.high
    assert any(each.confirmed for each in found.slices)
    levels = [each.suspicion for each in found.candidates]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("seed", range(100, 105))
def test_clean_data_are_not_strong_evidence(seed):
    drawn = make_planted_shortcut(600, correlation=0.5, seed=seed, rotation_seed=seed)
    assert longway.audit(drawn.X, drawn.y).verdict.level == "no evidence"


def test_wrong_labels_are_not_strong_evidence():
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 1000)
    X = generator.normal(size=(1000, 10))
    X[:, 0] += 5 * y
    found = longway.audit(X, np.where(generator.random(1000) < 0.05, 1 - y, y))
    assert found.verdict.level != "strong evidence"


def test_a_fixed_model_relies_less_on_the_shortcut():
    drawn = make_planted_shortcut(2000, correlation=0.9, seed=100)
    found = longway.audit(drawn.X, drawn.y)
    name = found.candidates[0].name
    fixed = longway.SUBG().fit(drawn.X, drawn.y, groups=found.pseudo_groups(name), sample_weight=found.confident(name))
    ordinary = longway.ERM().fit(drawn.X, drawn.y)
    before, after = (
        longway.audit(drawn.X, drawn.y, model=model).candidate(name).reliance for model in (ordinary, fixed)
    )
    assert before.how == after.how == "intervention"
    assert before.sensitivity.value > 3 * abs(after.sensitivity.value)
    assert before.flip_rate > after.flip_rate


def test_misread_samples_are_counted_and_left_out():
    drawn = make_planted_shortcut(2000, correlation=0.98, core=1.0, shortcut=2.0, seed=100)
    found = longway.audit(drawn.X, drawn.y)
    first = found.candidates[0]
    confident = found.confident(first.name)
    assert 0 < first.unsure == np.sum(~confident) < first.contradicting
    assert f"{first.unsure} that are probably misassigned" in found.verdict.method_reason
    misread = drawn.shortcut[~confident] == drawn.y[~confident]
    kept = drawn.shortcut[confident & (first.side == 1)] == drawn.y[confident & (first.side == 1)]
    assert misread.mean() > kept.mean()


def test_a_model_without_reliance_is_not_strong_evidence():
    drawn = make_planted_shortcut(1000, correlation=0.9, seed=100)
    core = np.where(np.random.default_rng(0).random(1000) < 0.95, drawn.y, 1 - drawn.y)
    assert longway.audit(drawn.X, drawn.y, predictions=core).verdict.level != "strong evidence"


def test_predictions_reveal_reliance(planted):
    drawn, found = planted
    used = longway.audit(drawn.X, drawn.y, predictions=drawn.shortcut).candidate(found.candidates[0].name).reliance
    assert used.how == "predictions"
    assert used.flip_rate is None
    assert used.contradicting_accuracy.high < 0.3 < used.aligned_accuracy.low
    probabilities = np.eye(2)[drawn.shortcut]
    same = longway.audit(drawn.X, drawn.y, predictions=probabilities)
    assert same.model.accuracy == longway.audit(drawn.X, drawn.y, predictions=drawn.shortcut).model.accuracy


def test_the_record_is_json_and_the_same_each_time(planted):
    drawn, found = planted
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["verdict"]["level"] in LEVELS
    assert "values" not in record["candidates"][0]
    again = longway.audit(drawn.X, drawn.y).to_dict()
    assert {**again, "seconds": 0} == {**found.to_dict(), "seconds": 0}


def test_many_classes_and_strings():
    generator = np.random.default_rng(100)
    y = np.arange(900) % 3
    shortcut = np.where(generator.random(900) < 0.9, y, generator.integers(0, 3, 900))
    X = generator.normal(size=(900, 12))
    X[np.arange(900), shortcut] += 6
    X[np.arange(900), 3 + y] += 2.5
    found = longway.audit(X, np.array(["<b>ant</b>", "bee", "wasp"])[y])
    assert list(found.classes) == ["<b>ant</b>", "bee", "wasp"]
    assert found.verdict.level != "no evidence"


def test_columns_are_tested_and_one_that_equals_the_label_is_reported():
    drawn = make_planted_shortcut(600, correlation=0.5, seed=100)
    generator = np.random.default_rng(0)
    metadata = {
        "scanner": np.where(generator.random(600) < 0.9, drawn.y, 1 - drawn.y).astype(str),
        "copy": np.array(["no", "yes"])[drawn.y],
        "noise": generator.normal(size=600),
        "<script>": generator.integers(0, 3, 600),
    }
    found = longway.audit(drawn.X, drawn.y, metadata=metadata)
    assert set(metadata) == set(found.columns)
    assert found.candidate("copy = yes").same_as_label or found.candidate("copy = no").same_as_label
    assert any("equals the label" in note for note in found.notes)
    scanner = next(each for each in found.candidates if each.name.startswith("scanner"))
    assert scanner.association.adjusted_p < 1e-6
    assert found.candidate("noise").association.adjusted_p > 0.01
    assert found.verdict.level != "no evidence"


def test_advice_groups_by_values_of_given_columns_and_otherwise_infers_groups(planted):
    drawn, _ = planted
    generator = np.random.default_rng(0)
    place = np.where(generator.random(1000) < 0.9, drawn.y, 1 - drawn.y)
    metadata = {"o'clock": np.array(["am", "pm"])[place], "age": place + generator.normal(size=1000)}
    found = longway.audit(drawn.X, drawn.y, metadata=metadata, source="birds.csv")
    advice = {each.name.split(" = ")[0]: each.advice for each in found.candidates}
    assert advice["o'clock"] == Advice("subg", columns=("o'clock",))
    assert (
        advice["age"] == advice["axis 0"] == Advice("subg", {"group_inference": "axes"})
    )  # real numbers are no groups
    assert advice["simplest direction"] == Advice("subg", {"group_inference": "errors"})
    assert {each.command for each in found.candidates} == {found.verdict.command} == {""}
    texts = [f"{'good' if y else 'bad'} film {'!' * (k % 3) if y else ''}" for k, y in enumerate(drawn.y)]
    assert not longway.audit(texts, drawn.y).candidate("text length").advice.columns  # computed, not a column


def test_a_feature_that_equals_the_label_is_reported():
    drawn = make_planted_shortcut(300, correlation=0.5, seed=100)
    found = longway.audit(np.c_[drawn.X, 7.0 - drawn.y], drawn.y)
    assert "feature 20 equals the label" in found.notes


def test_rows_that_are_in_two_parts_are_leakage():
    drawn = make_planted_shortcut(300, correlation=0.5, seed=100)
    X = np.concatenate([drawn.X, drawn.X[:30]])
    split = np.array(["train"] * 300 + ["test"] * 30)
    found = longway.audit(X, np.concatenate([drawn.y, drawn.y[:30]]), split=split)
    assert any("leakage: 60 rows" in note for note in found.notes)


def test_a_small_class_is_left_out_and_told():
    drawn = make_planted_shortcut(300, correlation=0.9, seed=100)
    y = drawn.y.copy()
    y[:3] = 2
    found = longway.audit(drawn.X, y)
    assert list(found.classes) == ["0", "1"]
    assert any("class '2' was left out: 3 samples" in note for note in found.notes)


def test_large_data_are_sampled_from_a_memory_map(tmp_path):
    drawn = make_planted_shortcut(5000, correlation=0.9, seed=100)
    np.save(tmp_path / "X.npy", drawn.X.astype(np.float16))
    found = longway.audit(np.load(tmp_path / "X.npy", mmap_mode="r"), drawn.y, max_rows=600)
    assert (found.n_given, found.n) == (5000, 600)
    assert found.verdict.level == "strong evidence"
    assert np.array_equal(found.y, drawn.y[found.rows])


BAD = [
    (lambda X, y: (np.ones_like(X), y, {}), "no variance"),
    (lambda X, y: (X[:40], y[:40], {}), "40 rows"),
    (lambda X, y: (X, np.zeros_like(y), {}), "one class only"),
    (lambda X, y: (X, y, {"predictions": np.zeros((5, 2))}), "predictions has shape"),
    (lambda X, y: (X, y, {"predictions": np.zeros((len(y), 3))}), "3 columns for 2 classes"),
    (lambda X, y: (X, y, {"predictions": np.full((len(y), 2), 0.9)}), "not probabilities"),
    (lambda X, y: (X, y, {"predictions": np.full(len(y), 5)}), "not a class of y"),
    (lambda X, y: (X, y, {"predictions": y, "model": 1}), "choose one"),
    (lambda X, y: (X, y, {"model": object()}), "neither predict_proba nor predict"),
    (lambda X, y: (X, None, {}), "needs the labels"),
    (lambda X, y: (X, y[:-1], {}), "labels for"),
    (lambda X, y: (np.where(np.arange(len(X))[:, None] == 3, np.nan, X), y, {}), "NaN"),
    (lambda X, y: (X, y, {"metadata": {"a": [1]}}), "one value for each"),
    (lambda X, y: (X, y, {"max_rows": 10}), "max_rows"),
    (lambda X, y: (X[:, 0], y, {}), "shape"),
    (lambda X, y: (X, y, {"representation": X[:5]}), "representation has shape"),
    (lambda X, y: (X, y, {"representation": np.where(X[3, 0] == X, np.nan, X)}), "representation contains NaN"),
    (lambda X, y: (X, y, {"predictions": np.full((len(y), 2), np.nan)}), "predictions holds NaN"),
    (lambda X, y: (X, y, {"predictions": np.zeros((len(y), 2, 2))}), "predictions has shape"),
    (lambda X, y: (X, y, {"split": ["train"]}), "'split' has 1 rows"),
    (lambda X, y: (X, y, {"ids": ["a"]}), "'ids' has 1 rows"),
    (lambda X, y: (X, y, {"max_rows": "all"}), "max_rows='all'"),
    (lambda X, y: (X, y, {"max_skipped": 2}), "max_skipped=2"),
    (lambda X, y: (X[:, :0], y, {}), "X has shape"),
    (lambda X, y: (X.astype(object), y, {}), "features must be numbers"),
    (lambda X, y: (np.zeros((len(y), 3, 8, 8)), y, {}), "no variance"),
    (lambda X, y: (["..."] * len(y), y, {}), "share no words"),
    (lambda X, y: (["the same"] * len(y), y, {}), "no variance"),
    (lambda X, y: ([None] * len(y), y, {}), "or a list of texts"),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_gives_one_line(change, message):
    drawn = make_planted_shortcut(120, correlation=0.8, seed=100)
    X, y, options = change(drawn.X, drawn.y)
    with pytest.raises(longway.LongwayError, match=message) as caught:
        longway.audit(X, y, **options)
    assert "\n" not in str(caught.value)


def test_texts_of_any_script():
    generator = np.random.default_rng(100)
    y = generator.integers(0, 2, 400)
    hint = np.where(generator.random(400) < 0.9, y, 1 - y)
    fill = ["μία", "два", "三", "four", "<b>", "cinq"]
    texts = [
        " ".join(
            [
                *generator.choice(fill, 5),
                "не" if h else "да",
                *(["bright"] if label and generator.random() < 0.8 else []),
            ]
        )
        for h, label in zip(hint, y, strict=True)
    ]
    found = longway.audit(texts, np.array(["плохо", "хорошо"])[y])
    assert found.kind == "texts"
    assert "text length" in found.columns
    word = next(each for each in found.candidates if each.source == "word" and each.name in ("word 'не'", "word 'да'"))
    assert word.association.adjusted_p < 1e-6


def test_images_with_a_corrupt_file(tmp_path):
    from PIL import Image

    from longway.datasets import make_coloured_digits

    part = make_coloured_digits(train_correlation=0.9, copies=1, seed=100)["train"]
    lines = ["file,digit"]
    for k in range(240):
        picture = (255 * part.X[k].transpose(1, 2, 0)).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
        lines.append(f"{k}.png,{'high' if part.y[k] else 'low'}")
    (tmp_path / "7.png").write_bytes(b"no image")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    data = longway.read(tmp_path, label="digit", input="file", fractions=None)
    found = longway.audit(data)
    assert [each.id for each in found.skipped] == ["7.png"]
    assert found.kind == "images"
    assert "red minus green" in found.columns
    assert found.images.shape[0] == found.n == len(found.y)
    assert any(each.traversal is not None and each.traversal.ndim == 4 for each in found.candidates)
    assert found.verdict.level != "no evidence"
    with pytest.raises(longway.CorruptFileError, match="max_skipped"):
        longway.audit(data, max_skipped=0)
    for name in tmp_path.glob("*.png"):
        name.write_bytes(b"no image")
    with pytest.raises(longway.CorruptFileError, match="or all"):
        longway.audit(data, max_skipped=1)


def test_holm_is_the_slow_form():
    p = np.array([0.001, 0.2, 0.01, 0.04])
    order = np.argsort(p)
    slow, running = np.empty(4), 0.0
    for k, at in enumerate(order):
        running = max(running, min(1.0, (4 - k) * p[at]))
        slow[at] = running
    assert np.allclose(holm(p), slow)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_the_space_keeps_everything(shape):
    X = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[1] + 1)
    space = PCASpace.fit(X)
    points = space.transform(X)
    assert np.allclose(space.shift_features(points) + X.mean(0), X)
    assert np.allclose(points.std(0), space.deviation)


def test_the_leading_candidates_are_examined():
    drawn = make_planted_shortcut(400, correlation=0.85, seed=101, core=0.3)
    generator = np.random.default_rng(0)
    noisy = np.where(generator.random(400) < 0.9, drawn.shortcut, 1 - drawn.shortcut)
    found = longway.audit(drawn.X, drawn.y, metadata={f"c{k}": noisy + 0.1 * k * drawn.X[:, k] for k in range(12)})
    assert all(each.reliance is not None and each.statement != "Not examined." for each in found.candidates[:6])
    levels = [each.suspicion for each in found.candidates]
    assert levels == sorted(levels, reverse=True)
