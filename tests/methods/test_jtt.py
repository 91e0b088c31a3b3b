import numpy as np
import pytest

from longway import ERM, JTT
from longway.datasets import make_coloured_digits, make_planted_shortcut
from longway.methods import jtt

DATA = make_planted_shortcut(400, correlation=0.9)


@pytest.mark.parametrize("seed", range(4))
def test_the_rows_weighed_up_are_exactly_those_the_first_stage_gets_wrong(seed):
    data = make_planted_shortcut(300, correlation=0.85, seed=seed)
    method = JTT(upweight=7).fit(data.X, data.y)
    wrong = ERM(l2=method.first_l2).fit(data.X, data.y).predict(data.X) != data.y
    np.testing.assert_array_equal(method.error_set_, np.flatnonzero(wrong))
    by_hand = ERM().fit(data.X, data.y, sample_weight=np.where(wrong, 8.0, 1.0))
    np.testing.assert_allclose(method.predict_proba(data.X), by_hand.predict_proba(data.X), atol=1e-7)


def test_an_error_counts_once_and_its_copies(monkeypatch):
    lengths = []
    monkeypatch.setattr(jtt.JTT, "_train", lambda self, rows, *rest: lengths.append(rows.y) or self._build((20,), 2))
    method = JTT(copies=True, optimizer="sgd", learning_rate=0.1, first_epochs=1, upweight=3)
    method.fit(DATA.X, DATA.y)
    n, errors = (method.group_inference_[name] for name in ("rows", "errors"))
    assert errors > 0
    assert len(lengths[0]) == n + 3 * errors


def test_errors_of_a_network_contradict_the_shortcut():
    train = make_coloured_digits()["train"]
    X, y, colour = train.X[::4], train.y[::4], train.colour[::4]
    method = JTT(first_epochs=6, epochs=1).fit(X, y)
    assert (colour != y)[method.error_set_].mean() > 0.9
    assert any("unless they are a minority" in caveat for caveat in method.caveats)


def test_error_sets_that_say_nothing_raise_a_doubt():
    plain = np.stack([100.0 * DATA.y, DATA.X[:, 0]], 1)
    method = JTT().fit(plain, DATA.y)
    assert len(method.error_set_) == 0
    assert "none is upweighted" in method.group_inference_["caveats"][0]
    assert "raise first_l2" in method.group_inference_["caveats"][0]
    np.testing.assert_array_equal(method.predict_proba(plain), ERM().fit(plain, DATA.y).predict_proba(plain))
    random = np.random.default_rng(0).integers(0, 5, 400)
    assert "lower first_l2" in JTT().fit(DATA.X, random).group_inference_["caveats"][0]


def test_errors_that_outweigh_the_rest_raise_a_caveat():
    generator = np.random.default_rng(0)
    y = np.arange(1000) % 2
    X = generator.normal(size=(1000, 4))
    X[:, 0] += 2 * y
    assert "hold 79 % of the weight" in JTT().fit(X, y).caveats[0]
    assert not JTT(upweight=1).fit(X, y).caveats
