"""The published algorithm, written out plainly with autograd, gives the same head."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy

from longway import HSFM, LongwayError, evaluate_groups
from longway.data.samples import Samples
from longway.datasets import make_planted_shortcut
from longway.linear.fit import fit_linear

SETTINGS = {
    "waterbirds": (16, 15, 5e-5, 1.0, 15, 64, 40),
    "celeba": (1024, 10, 5e-5, 1.0, 5, 256, 20),
    "metashift": (32, 15, 5e-5, 1e-2, 10, 64, 10),
    "dominoes": (16, 10, 1e-4, 1.0, 15, 256, 40),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_published_settings(name):
    p = HSFM.from_paper(name).get_params()
    assert p["variant"] == "paper"
    names = ("n_support", "inner_steps", "inner_rate", "outer_rate", "outer_steps", "n_hard", "epochs")
    assert tuple(p[key] for key in names) == SETTINGS[name]


def published_algorithm(head, support, labels, X_val, y_val, judge, p):
    """Steps (1) to (4) of an epoch, with a graph through the inner descent."""
    support = support.clone().requires_grad_()
    head = [part.clone().requires_grad_() for part in head]
    edit, step = torch.optim.Adam([support], lr=p["outer_rate"]), torch.optim.Adam(head, lr=p["inner_rate"])
    best, kept = -1.0, None
    for _ in range(p["epochs"]):
        losses = cross_entropy(X_val @ head[0].T + head[1], y_val, reduction="none")
        hard = torch.cat(
            [
                torch.nonzero(y_val == c)[:, 0][losses[y_val == c].argsort(descending=True)[: p["n_hard"]]]
                for c in y_val.unique()
            ]
        )
        for _ in range(p["outer_steps"]):
            W, b = (part.detach().clone().requires_grad_() for part in head)
            for _ in range(p["inner_steps"]):
                gW, gb = torch.autograd.grad(cross_entropy(support @ W.T + b, labels), (W, b), create_graph=True)
                W, b = W - p["inner_rate"] * gW, b - p["inner_rate"] * gb
            edit.zero_grad()
            cross_entropy(X_val[hard] @ W.T + b, y_val[hard]).backward()
            torch.nn.utils.clip_grad_norm_([support], 10)
            edit.step()
        for _ in range(p["inner_steps"]):
            step.zero_grad()
            cross_entropy(support.detach() @ head[0].T + head[1], labels).backward()
            step.step()
        score = judge((X_val @ head[0].T + head[1]).argmax(1).numpy())
        if score >= best:
            best, kept = score, copy.deepcopy([part.detach() for part in head])
    return kept, best


@pytest.mark.parametrize("loader", [load_breast_cancer, load_wine])
def test_paper_variant_is_the_published_algorithm(loader):
    X, y = loader(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(y))
    X, y, groups = X[order], y[order], np.random.default_rng(1).integers(0, 2, len(y))
    half = len(y) // 2
    changes = {"inner_rate": 1e-2, "outer_rate": 0.1, "epochs": 6, "n_hard": 20, "inner_steps": 5}
    method = HSFM.from_paper("waterbirds", **changes)
    method.fit(X[:half], y[:half], eval_set=(X[half:], y[half:], groups[half:]))

    network = fit_linear(Samples(X[:half], y[:half], np.ones(half)), y.max() + 1, method.l2, standardize=False)
    head = [network.linear.weight.detach().float(), network.linear.bias.detach().float()]

    def judge(predicted):
        return evaluate_groups(y[half:], predicted, groups[half:]).worst_group_accuracy

    support, labels = torch.from_numpy(method.support_before_).float(), torch.from_numpy(method.support_labels_)
    kept, best = published_algorithm(
        head, support, labels, torch.from_numpy(X[half:]), torch.from_numpy(y[half:]), judge, method.get_params()
    )
    assert method.selection_["rule"] == "worst_group"
    assert method.selection_["score"] == pytest.approx(best)
    torch.testing.assert_close(method.module_.linear.weight.float(), kept[0], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(method.module_.linear.bias.float(), kept[1], atol=1e-4, rtol=1e-3)


def test_support_is_balanced_drawn_from_training_data_and_edited():
    data = make_planted_shortcut(400, correlation=0.9)
    method = HSFM(n_support=20, epochs=2).fit(data.X, data.y)
    assert np.bincount(method.support_labels_).tolist() == [20, 20]
    rows = {tuple(row) for row in data.X}
    assert all(tuple(row) in rows for row in method.support_before_)
    assert not np.allclose(method.support_before_, method.support_after_)


def test_starts_from_the_head_that_is_given():
    data = make_planted_shortcut(600, correlation=0.9)
    fitted = fit_linear(Samples(data.X, data.y, np.ones(600)), 2, 1e-2, standardize=False)
    head = (fitted.linear.weight.detach().numpy(), fitted.linear.bias.detach().numpy())
    for variant in ("paper", "scale_free"):
        options = {"variant": variant, "inner_rate": 1e-12 if variant == "paper" else 1.0, "epochs": 1}
        eval_set = (data.X, data.y)
        given = HSFM(**options, head=head).fit(data.X, data.y, eval_set=eval_set)
        own = HSFM(**options).fit(data.X, data.y, eval_set=eval_set)
        np.testing.assert_allclose(given.predict_proba(data.X), own.predict_proba(data.X), atol=0.1)
        if variant == "paper":  # no step to speak of: the head is the one it started from
            np.testing.assert_allclose(given.module_.linear.weight.detach().numpy(), head[0], atol=1e-6)
    with pytest.raises(LongwayError, match=r"head holds a weight of shape \(3, 20\)"):
        HSFM(head=(np.zeros((3, 20)), np.zeros(3))).fit(data.X, data.y)


def test_fewer_samples_than_the_support_wants():
    data = make_planted_shortcut(40, correlation=0.9)
    assert len(HSFM(n_support=500, epochs=2).fit(data.X, data.y).support_labels_) < 40


@pytest.mark.parametrize("options", [{"variant": "paper", "inner_rate": 1e300}, {"outer_rate": 1e30}])
def test_rates_that_explode_stop_with_the_last_good_head(options):
    data = make_planted_shortcut(200, correlation=0.9)
    with pytest.warns(UserWarning, match="no longer finite in epoch .: stopped with the head .*lower inner_rate"):
        wild = HSFM(**options, epochs=3, n_refits=1).fit(data.X, data.y)
    assert np.isfinite(wild.predict_proba(data.X)).all()
    assert (wild.predict(data.X) == data.y).mean() > 0.6


def test_a_support_that_the_head_fits_already_says_so():
    data = make_planted_shortcut(200, correlation=0.9)
    weight = 1e3 * np.linalg.lstsq(data.X, 2.0 * data.y - 1, rcond=None)[0]
    y = (data.X @ weight > 0).astype(int)
    head = (np.stack([-weight, weight]), np.zeros(2))
    with pytest.warns(UserWarning, match="the first head already fits the support"):
        HSFM(variant="paper", head=head, epochs=1, inner_rate=1e-5).fit(data.X, y)


def test_validation_data_that_lack_a_class():
    data = make_planted_shortcut(300, correlation=0.9)
    one = data.y == 1
    method = HSFM().fit(data.X, data.y, eval_set=(data.X[one], data.y[one]))
    assert "the validation data lack a class, so the support is not edited" in method.group_inference_["caveats"][-1]
    assert method.selection_["epoch"] == 0
    assert set(method.predict(data.X)) == {0, 1}
    np.testing.assert_allclose(method.support_before_, method.support_after_, atol=1e-4)


def test_the_history_has_one_score_an_epoch_whatever_the_draws():
    data = make_planted_shortcut(600, correlation=0.9)
    method = HSFM(epochs=2, n_refits=3).fit(data.X, data.y)
    scored = [record for record in method.history_ if "val_cells" in record]
    assert [record["epoch"] for record in scored] == [0, 1, 2]
    assert all(0 <= record["val_cells"] <= 1 for record in scored)
    assert len(method.history_) - len(scored) == 3 * 2 * 2  # draws, halves, epochs


def test_a_hard_set_of_less_than_a_cell_is_the_hardest():
    data = make_planted_shortcut(600, correlation=0.9)
    val = make_planted_shortcut(300, correlation=0.5, seed=1)
    few = HSFM(n_hard=5, n_refits=1, epochs=2).fit(data.X, data.y, eval_set=(val.X, val.y))
    assert not np.allclose(
        few.predict_proba(data.X), HSFM(n_refits=1, epochs=2).fit(data.X, data.y).predict_proba(data.X)
    )


@pytest.mark.parametrize("variant", ["scale_free", "paper"])
def test_a_hard_set_larger_than_a_class_is_the_class(variant):
    data, val = make_planted_shortcut(200, correlation=0.9), make_planted_shortcut(60, correlation=0.5, seed=1)
    fits = [
        HSFM(variant=variant, n_hard=n_hard, n_refits=1, epochs=2).fit(data.X, data.y, eval_set=(val.X, val.y))
        for n_hard in (60, 10**6)
    ]
    np.testing.assert_array_equal(*(fit.predict_proba(data.X) for fit in fits))


def test_cells_are_classes_where_validation_data_contradict_the_shortcut_more():
    train = make_planted_shortcut(1000, correlation=0.95)
    for correlation, kind in ((0.5, "weighted classes,"), (0.95, "weighted classes by inferred attribute,")):
        val = make_planted_shortcut(600, correlation=correlation, seed=1)
        method = HSFM(epochs=2, n_refits=1).fit(train.X, train.y, eval_set=(val.X, val.y))
        assert kind in method.selection_["rule"]
        assert method.supervision_ == "none"
        known = HSFM(epochs=2, n_refits=1).fit(train.X, train.y, eval_set=(val.X, val.y, val.groups))
        assert "weighted groups," in known.selection_["rule"]
        assert known.supervision_ == "val_groups"
        kept_out = HSFM(epochs=2, n_refits=1, selection="average")
        kept_out.fit(train.X, train.y, eval_set=(val.X, val.y, val.groups))
        assert kept_out.supervision_ == "none"


def test_finds_the_minority_in_validation_data_that_hold_the_shortcut():
    train, val, test = (
        make_planted_shortcut(n, correlation=c, seed=s)
        for n, c, s in [(2000, 0.95, 3), (1000, 0.95, 4), (4000, 0.5, 5)]
    )
    worst = [
        evaluate_groups(
            test.y,
            HSFM(random_state=seed).fit(train.X, train.y, eval_set=(val.X, val.y)).predict(test.X),
            test.groups,
        ).worst_group_accuracy
        for seed in range(3)
    ]
    assert min(worst) > 0.8
    assert np.std(worst) < 0.015


def test_matches_group_labels_where_validation_is_balanced():
    train, val, test = (
        make_planted_shortcut(n, correlation=c, seed=s) for n, c, s in [(2000, 0.95, 0), (1000, 0.5, 1), (4000, 0.5, 2)]
    )
    method = HSFM().fit(train.X, train.y, eval_set=(val.X, val.y))
    assert method.supervision_ == "none"
    assert evaluate_groups(test.y, method.predict(test.X), test.groups).worst_group_accuracy > 0.88
