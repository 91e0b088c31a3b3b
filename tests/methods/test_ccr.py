import numpy as np

from longway import CCR
from longway.datasets import make_planted_shortcut


def test_necessity_names_the_features_that_a_head_uses():
    generator = np.random.default_rng(0)
    y = np.arange(400) % 2
    X = np.stack([2 * (2 * y - 1) + generator.normal(size=400), *generator.normal(size=(4, 400))], 1)
    fitted = CCR().fit(X, y)
    assert fitted.necessity_.argmax() == 0
    assert fitted.necessity_[0] > 5 * np.abs(fitted.necessity_[1:]).max()


def test_more_necessity_makes_the_term_larger():
    data = make_planted_shortcut(400, correlation=0.9, n_features=6)
    weak, strong = (CCR(necessity=(value,)).fit(data.X, data.y) for value in (0.0, 3.0))
    assert strong.necessity_.mean() > weak.necessity_.mean()
    assert strong.selection_["necessity"] == 3.0


def test_selection_chooses_among_the_values_that_are_recorded():
    data = make_planted_shortcut(400, correlation=0.9)
    fitted = CCR(necessity=(0, 0.1, 1)).fit(data.X, data.y, eval_set=(data.X, data.y, data.groups))
    assert [record["necessity"] for record in fitted.history_] == [0, 0.1, 1]
    assert fitted.selection_["score"] == max(record["val_worst_group"] for record in fitted.history_)
    assert fitted.supervision_ == "val_groups"


def test_exponential_weights_help_too():
    data = make_planted_shortcut(400, correlation=0.9)
    assert CCR(weighting="exponential").fit(data.X, data.y).score(data.X, data.y) > 0.8
