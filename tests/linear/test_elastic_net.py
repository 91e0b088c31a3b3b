import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from longway.linear._elastic_net import elastic_net, elastic_net_path
from longway.linear.head import HeadStack

STRENGTHS = torch.tensor([0.01, 0.1, 0.5], dtype=torch.float64)


def scaled(loader):
    X, y = loader(return_X_y=True)
    return torch.from_numpy(StandardScaler().fit_transform(X)), torch.from_numpy(y)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("loader", [load_breast_cancer, load_wine])
def test_equals_saga(loader, l1_ratio):
    X, y = scaled(loader)
    heads = elastic_net(X, y, int(y.max()) + 1, strength=STRENGTHS, l1_ratio=l1_ratio, tolerance=1e-7)
    for strength, weight in zip(STRENGTHS.tolist(), heads.weight.numpy(), strict=True):
        reference = LogisticRegression(C=strength, solver="saga", l1_ratio=l1_ratio, tol=1e-8, max_iter=50_000)
        reference.fit(X.numpy(), y.numpy())
        found = weight[1:] - weight[:1] if len(weight) == 2 else weight
        np.testing.assert_allclose(found, reference.coef_, atol=1e-4)
        assert ((found != 0) == (np.abs(reference.coef_) > 1e-6)).all()


def test_equals_liblinear_where_the_bias_does_not_matter():
    X, y = scaled(load_breast_cancer)
    mirrored, labels = torch.cat([X, -X]), torch.cat([y, 1 - y])  # the best bias is zero by symmetry
    heads = elastic_net(mirrored, labels, 2, strength=torch.tensor([0.1]), tolerance=1e-7)
    reference = LogisticRegression(C=0.1, solver="liblinear", l1_ratio=1, tol=1e-8, max_iter=10_000)
    reference.fit(mirrored.numpy(), labels.numpy())
    np.testing.assert_allclose((heads.weight[0, 1] - heads.weight[0, 0]).numpy(), reference.coef_[0], atol=1e-4)
    assert heads.bias.abs().max() < 1e-5


def slow_reference(X, y, weights, strength, n_classes, steps=20_000):
    """Plain proximal gradient descent, one problem at a time."""
    W, b = torch.zeros(n_classes, X.shape[1], dtype=X.dtype), torch.zeros(n_classes, dtype=X.dtype)
    rate = 1 / (0.5 * strength * torch.linalg.matrix_norm(torch.cat([X, torch.ones_like(X[:, :1])], 1), 2) ** 2)
    targets = torch.nn.functional.one_hot(y, n_classes)
    for _ in range(steps):
        residual = ((X @ W.T + b).softmax(1) - targets) * weights.unsqueeze(1) * strength
        W, b = W - rate * residual.T @ X, b - rate * residual.sum(0)
        W = W.sign() * (W.abs() - rate).clamp_min(0)
    return W


def test_three_classes_with_weights_equal_a_slow_reference():
    X, y = scaled(load_wine)
    weights = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (2, len(y)))).double()
    heads = elastic_net(X, y, 3, strength=torch.tensor([0.1, 0.1]), weights=weights, tolerance=1e-7)
    for problem in range(2):
        expected = slow_reference(X, y, weights[problem], 0.1, 3)
        torch.testing.assert_close(heads.weight[problem], expected, atol=1e-4, rtol=0)


def test_weights_leave_rows_out_and_problems_do_not_touch_each_other():
    X, y = scaled(load_breast_cancer)
    weights = torch.zeros(2, len(y), dtype=torch.float64)
    weights[0, ::2] = weights[1, 1::2] = 1
    both = elastic_net(X, y, 2, strength=torch.tensor([0.2, 0.05]), weights=weights, tolerance=1e-8)
    for problem, strength in enumerate((0.2, 0.05)):
        alone = elastic_net(X[problem::2], y[problem::2], 2, strength=torch.tensor([strength]), tolerance=1e-8)
        torch.testing.assert_close(both.weight[problem], alone.weight[0], atol=1e-5, rtol=0)


def test_a_common_start_changes_nothing_at_the_optimum():
    X, y = scaled(load_wine)
    weights = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (3, len(y)))).double()
    given = {"strength": torch.full((3,), 0.1), "weights": weights, "tolerance": 1e-7}
    alone, common = elastic_net(X, y, 3, **given), elastic_net(X, y, 3, common=True, **given)
    torch.testing.assert_close(common.weight, alone.weight, atol=1e-5, rtol=0)


def test_a_path_equals_problem_by_problem():
    X, y = scaled(load_breast_cancer)
    weights = torch.from_numpy(np.random.default_rng(0).integers(0, 3, len(y))).double()
    Cs = STRENGTHS.tolist()
    path = elastic_net_path(X, y, 2, Cs=Cs, tolerances=[1e-7] * 3, weights=weights)
    apart = elastic_net(X, y, 2, strength=STRENGTHS, weights=weights.expand(3, -1), tolerance=1e-7)
    for found, expected in zip(path, apart, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_constant_features_stay_out_and_a_start_at_the_optimum_stays_there():
    X, y = scaled(load_breast_cancer)
    X = torch.cat([X, torch.zeros_like(X[:, :1])], 1)
    first = elastic_net(X, y, 2, strength=torch.tensor([0.1]), tolerance=1e-6)
    assert (first.weight[:, :, -1] == 0).all()
    again = elastic_net(X, y, 2, strength=torch.tensor([0.1]), tolerance=1e-5, start=first)
    torch.testing.assert_close(again.weight, first.weight)


def test_heads_agree_with_one_head_at_a_time():
    heads = HeadStack(torch.randn(3, 4, 5), torch.randn(3, 4))
    X = torch.randn(7, 5)
    for problem in range(3):
        torch.testing.assert_close(heads.logits(X)[:, problem], heads.pick(problem).logits(X))
    torch.testing.assert_close(heads.mean().logits(X), heads.logits(X).mean(1))
