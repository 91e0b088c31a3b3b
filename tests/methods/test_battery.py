"""Properties that every method has."""

import warnings

import numpy as np
import pytest
import torch
from battery import ROWS, planted, small_images, worst_group
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from longway import METHODS, LongwayError, load, save, training_options
from longway.methods._base import SUPERVISION

every = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
taking_images = pytest.mark.parametrize(
    "row",
    [row for row in ROWS.values() if row.method.takes_images],
    ids=[k for k, r in ROWS.items() if r.method.takes_images],
)
IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]


@parametrize_with_checks(
    [row.method for row in ROWS.values()],
    expected_failed_checks=lambda method: next(
        row.expected_failures
        for row in ROWS.values()
        if row.method.get_params() == method.get_params() and type(row.method) is type(method)
    ),
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_every_method_is_in_the_battery():
    assert {type(row.method) for row in ROWS.values()} == set(METHODS.values())


@every
def test_declares_its_supervision(row):
    assert row.method.supervision in SUPERVISION
    assert clone(row.method).fit(IRIS, NAMES).supervision_ in SUPERVISION


@every
def test_supervision_is_what_the_fit_was_given(row):
    groups = np.arange(150) % 2
    trains_on_groups = row.method.supervision == "train_groups"
    method = clone(row.method).fit(IRIS, NAMES, groups=groups)
    assert method.supervision_ == ("train_groups" if trains_on_groups else "none")
    if "selection" not in row.method.get_params():
        method = clone(row.method).fit(IRIS, NAMES, eval_set=(IRIS, NAMES, groups))
        assert method.supervision_ == "none"
        return
    method = clone(row.method).set_params(selection="worst_group").fit(IRIS, NAMES, eval_set=(IRIS, NAMES, groups))
    assert method.supervision_ == ("val_groups" if method.selection_ else "none")
    other = clone(row.method).set_params(selection="average")
    with_groups = clone(other).fit(IRIS, NAMES, eval_set=(IRIS, NAMES, groups))
    assert with_groups.supervision_ == "none"
    without = other.fit(IRIS, NAMES, eval_set=(IRIS, NAMES))
    np.testing.assert_array_equal(with_groups.predict_proba(IRIS), without.predict_proba(IRIS))


@every
def test_same_seed_same_result_and_global_state_untouched(row):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    first, second = (clone(row.method).fit(IRIS, NAMES).predict_proba(IRIS) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@taking_images
def test_trains_in_mixed_precision(row):
    images, y, groups = small_images()
    given = groups if row.method.supervision == "train_groups" else None
    with training_options(mixed_precision="bf16-mixed"):
        method = clone(row.method).fit(images, y, groups=given)
    assert torch.bfloat16 not in {value.dtype for value in method.module_.state_dict().values()}
    assert np.isfinite(method.predict_proba(images)).all()


@every
def test_three_classes_with_names(row):
    method = clone(row.method).fit(IRIS, NAMES)
    assert method.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert method.decision_function(IRIS).shape == (150, 3)
    np.testing.assert_allclose(method.predict_proba(IRIS).sum(1), 1, rtol=1e-5)
    assert set(method.predict(IRIS)) <= set(NAMES)


@every
def test_groups_given_or_not(row):
    groups = np.arange(150) % 2
    clone(row.method).fit(IRIS, NAMES, groups=groups)
    with_groups = clone(row.method).fit(IRIS, NAMES, eval_set=(IRIS, NAMES, groups), groups=groups)
    assert with_groups.supervision_ in SUPERVISION


AWKWARD = {
    "constant": lambda X: np.hstack([X, np.full((len(X), 1), 3.0)]),
    "duplicated": lambda X: np.hstack([X, X]),
    "float16": lambda X: X.astype(np.float16),
    "scales": lambda X: X * [1e6, 1e-6, 1, 1],
    "offset": lambda X: X + 1e7,
}


@every
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_features(row, name):
    if row.method.get_params().get("variant") == "paper" and name in ("scales", "offset"):
        pytest.skip("the published algorithm takes features as they are")
    X = AWKWARD[name](IRIS)
    method = clone(row.method).fit(X, NAMES)
    assert np.isfinite(method.predict_proba(X)).all()
    assert method.score(X, NAMES) > 0.6


@every
def test_memory_mapped_float16(row, tmp_path):
    np.save(tmp_path / "X.npy", IRIS.astype(np.float16))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    from_file, from_memory = (clone(row.method).fit(X, NAMES) for X in (mapped, np.array(mapped)))
    np.testing.assert_array_equal(from_file.predict_proba(mapped), from_memory.predict_proba(np.array(mapped)))


@every
def test_works_where_scikit_learns_classifiers_do(row):
    steps = make_pipeline(MinMaxScaler(), clone(row.method))
    assert cross_val_predict(steps, IRIS, NAMES, cv=2).shape == (150,)
    search = GridSearchCV(clone(row.method), {"random_state": [0, 1]}, cv=2).fit(IRIS, NAMES)
    assert search.best_score_ > 0.5


@every
def test_saved_and_loaded_predicts_the_same(row, tmp_path):
    method = clone(row.method).fit(IRIS, NAMES)
    save(method, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict_proba(IRIS), method.predict_proba(IRIS))
    assert again.get_params() == method.get_params()
    assert again.history_ == method.history_
    assert again.selection_ == method.selection_
    save(again, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "m.safetensors").read_bytes()


@taking_images
def test_images(row, tmp_path):
    X, y, groups = small_images()
    method = clone(row.method).set_params(epochs=2).fit(X, y, groups=groups)
    bytes_in = (X * 255).round().astype(np.uint8)
    np.testing.assert_allclose(method.predict_proba(bytes_in), method.predict_proba(bytes_in / 255.0), atol=1e-5)
    save(method, tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").predict_proba(X), method.predict_proba(X))
    with pytest.raises(LongwayError, match=r"images of shape \(3, 6, 10\); this model was fitted on \(3, 10, 10\)"):
        method.predict(X[:, :, 1:7])
    with pytest.raises(LongwayError, match="must hold images"):
        method.predict(IRIS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@every
def test_gpu(row):
    on_gpu = clone(row.method).set_params(device="cuda").fit(IRIS, NAMES)
    on_cpu = clone(row.method).set_params(device="cpu").fit(IRIS, NAMES)
    assert abs(on_gpu.score(IRIS, NAMES) - on_cpu.score(IRIS, NAMES)) < 0.1


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.rivals])
def test_beats_erm_where_a_shortcut_is_planted(name):
    row = ROWS[name]
    train_correlation = row.problem.get("correlation", 0.95)
    gains = []
    for seed in range(2):
        train = planted(row, 2000, train_correlation, 10 * seed)
        validation = planted(row, 1000, row.validation_correlation, 10 * seed + 1)
        test = planted(row, 4000, 0.5, 10 * seed + 2)
        eval_set = (validation.X, validation.y, validation.groups)
        method, erm = (
            clone(rival).fit(train.X, train.y, groups=train.groups, eval_set=eval_set) for rival in row.rivals
        )
        gains.append(worst_group(method, test) - worst_group(erm, test))
    assert min(gains) > row.margin, gains


@every
def test_warns_of_nothing_and_prints_nothing(row, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(row.method).fit(IRIS, NAMES)
    assert capsys.readouterr() == ("", "")
