"""The verdict is about the model: guilty ones are called so on balanced data, honest ones are not."""

from __future__ import annotations

import numpy as np
import pytest

import longway
from longway import ERM
from longway.auditing.effects import measure_effect, model_split
from longway.auditing.signals import Signal
from longway.datasets import make_planted_shortcut


def trained(correlation, core=1.5):
    data = make_planted_shortcut(1500, correlation=correlation, core=core, shortcut=3.0, seed=0, rotation_seed=5)
    return ERM().fit(data.X, data.y)


def held_out(correlation=0.5, core=1.5):
    data = make_planted_shortcut(1200, correlation=correlation, core=core, shortcut=3.0, seed=7, rotation_seed=5)
    return data, {"place": np.where(data.shortcut == 1, "sea", "land")}


@pytest.mark.parametrize("correlation", [0.95, 1.0])
def test_a_guilty_model_is_called_guilty_on_balanced_data(correlation):
    data, columns = held_out()
    model = trained(correlation)
    found = longway.audit(data.X, data.y, model=model, metadata=columns)
    assert found.verdict.level == "strong evidence"
    assert found.verdict.signal == "place = sea"
    assert found.verdict.reasons[0].startswith("The model takes 'place = sea' for '1': right on ")
    effect = found.candidate("place = sea").effect
    correct = model.predict(data.X) == data.y
    against = data.shortcut != data.y
    assert effect.contradicting == against.sum()
    assert effect.contradicting_accuracy.value == pytest.approx(
        np.mean([correct[against & (data.y == code)].mean() for code in (0, 1)])
    )
    assert effect.excess.low > 0.1
    assert abs(effect.reference) < 0.1
    assert found.candidate("place = sea").detectability.value > 0.9
    assert longway.audit(data.X, data.y, model=model).verdict.level != "no evidence"  # without the column
    probabilities = model.predict_proba(data.X)
    given = longway.audit(data.X, data.y, predictions=probabilities, metadata=columns)
    assert given.verdict.level == "strong evidence"


@pytest.mark.parametrize("correlation", [0.5, 0.8])
def test_an_honest_model_is_not_accused(correlation):
    data, columns = held_out(correlation, core=2.5)
    found = longway.audit(data.X, data.y, model=trained(0.5, core=2.5), metadata=columns)
    assert found.verdict.level == "no evidence"
    if correlation == 0.8:
        assert any("but the model does not take it" in reason for reason in found.verdict.reasons)


def test_without_a_model_the_verdict_says_that_it_is_about_the_data():
    data, _ = held_out(0.9)
    assert "No model was given" in longway.audit(data.X, data.y).verdict.reasons[-1]


def test_a_model_that_predicts_one_class_is_called_useless():
    data, columns = held_out()
    found = longway.audit(data.X, data.y, predictions=np.zeros(len(data.y), int), metadata=columns)
    assert found.verdict.level == "suspicion"
    assert "The model predicts '0' for every sample: it is useless" in found.verdict.reasons[0]


def test_a_slice_of_two_columns_is_found_and_no_evidence_is_impossible():
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 2000)
    X = generator.normal(size=(2000, 6))
    X[:, 0] += 2 * y
    columns = {
        "device": generator.choice(["mobile", "desk"], 2000),
        "time": generator.choice(["night", "day"], 2000),
        "age": generator.normal(size=2000),
    }
    wrong = (columns["device"] == "mobile") & (columns["time"] == "night") & (generator.random(2000) < 0.6)
    predictions = np.where(wrong, 1 - (X[:, 0] > 1), X[:, 0] > 1)
    found = longway.audit(X, y, predictions=predictions, metadata=columns)
    first = found.slices[0]
    assert first.confirmed
    assert {"device = mobile", "time = night"} == set(first.description.split(" where ")[1].split(" and "))
    assert found.verdict.level == "suspicion"
    assert found.verdict.score >= 0.4


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_effect_is_the_difference_of_predicted_shares(n_classes):
    generator = np.random.default_rng(1)
    codes = np.arange(900) % n_classes
    sea = generator.integers(0, 2, 900)
    predicted = np.where(sea == 1, np.where(generator.random(900) < 0.7, 1, codes), codes)
    signal = Signal("sea", "", "metadata", 0, sea.astype(float), cut=0.5)
    split = model_split(signal, predicted, codes, n_classes)
    effect = measure_effect(split, codes, predicted, codes)
    assert (effect.focus, effect.sign) == (1, 1)
    shares = [
        (predicted[(codes == c) & (sea == 1)] == 1).mean() - (predicted[(codes == c) & (sea == 0)] == 1).mean()
        for c in range(n_classes)
    ]
    assert effect.effect.value == pytest.approx(np.mean(shares))
    assert effect.reference == 0
    assert -1 <= effect.effect.low <= effect.effect.value <= effect.effect.high <= 1
    assert model_split(signal, np.zeros(900, int), codes, n_classes) is None
