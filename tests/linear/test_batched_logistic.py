import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy

from longway.linear._batched_lbfgs import minimize_batch
from longway.linear._batched_logistic import descend_heads, heads_objective, solve_heads
from longway.linear._logistic import logistic_regression
from longway.linear.head import HeadStack

X, y = load_wine(return_X_y=True)
X, y = torch.from_numpy(StandardScaler().fit_transform(X)), torch.from_numpy(y)
RIDGE = torch.tensor([1e-2, 1e-1, 1.0], dtype=torch.float64)
WEIGHTS = torch.rand(len(y), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
WEIGHTS = WEIGHTS / WEIGHTS.sum(0)


def chunks(size=50):
    return lambda: ((X[i : i + size], y[i : i + size], WEIGHTS[i : i + size]) for i in range(0, len(y), size))


def some_heads(seed):
    generator = torch.Generator().manual_seed(seed)
    return HeadStack(
        torch.randn(3, 3, 13, dtype=torch.float64, generator=generator),
        torch.randn(3, 3, dtype=torch.float64, generator=generator),
    )


ZERO = HeadStack(torch.zeros(3, 3, 13, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64))


@pytest.mark.parametrize("centred", [False, True])
def test_the_gradient_is_autograds(centred):
    heads, centre = some_heads(0), some_heads(1) if centred else None
    smoothing = torch.tensor([0.0, 0.5, 0.98], dtype=torch.float64)
    value, gradient = heads_objective(chunks(), heads, l2=RIDGE, centre=centre, smoothing=smoothing)
    for p in range(3):
        W, b = heads.weight[p].clone().requires_grad_(), heads.bias[p].clone().requires_grad_()
        losses = cross_entropy(X @ W.T + b, y, reduction="none", label_smoothing=float(smoothing[p]))
        apart = W.square().sum()
        if centre is not None:
            apart = (W - centre.weight[p]).square().sum() + (b - centre.bias[p]).square().sum()
        expected = losses @ WEIGHTS[:, p] + 0.5 * RIDGE[p] * apart
        expected.backward()
        torch.testing.assert_close(value[p], expected.detach())
        torch.testing.assert_close(gradient.weight[p], W.grad)
        torch.testing.assert_close(gradient.bias[p], b.grad)


def test_equals_one_problem_at_a_time():
    heads = solve_heads(chunks(), ZERO, l2=RIDGE, tolerance=1e-8)
    for p in range(3):
        alone = logistic_regression(
            lambda p=p: iter([(X, y, WEIGHTS[:, p])]), 13, 3, l2=float(RIDGE[p]), tolerance=1e-9
        )
        torch.testing.assert_close(heads.weight[p], alone.weight, atol=1e-5, rtol=0)


def test_a_strong_pull_keeps_the_centre():
    centre = some_heads(2)
    heads = solve_heads(chunks(), ZERO, l2=1e8 * RIDGE, centre=centre)
    torch.testing.assert_close(heads.weight, centre.weight, atol=1e-5, rtol=0)


def test_descent_approaches_the_optimum_and_clips_its_steps():
    start = some_heads(3)
    found = solve_heads(chunks(), start, l2=RIDGE, centre=start, tolerance=1e-9)
    rate = torch.full((3,), 0.2, dtype=torch.float64)
    reached = descend_heads(chunks(), start, l2=RIDGE, rate=rate, steps=3000)
    torch.testing.assert_close(reached.weight, found.weight, atol=1e-3, rtol=0)
    moved = descend_heads(chunks(), start, l2=RIDGE, rate=rate, steps=1, clip=0.01)
    apart = (moved.weight - start.weight).square().sum((1, 2)) + (moved.bias - start.bias).square().sum(1)
    assert (apart.sqrt() <= 0.2 * 0.01 * 1.0001).all()


def test_lbfgs_on_quadratics_of_different_conditions():
    generator = torch.Generator().manual_seed(0)
    scales = torch.logspace(0, 4, 8, dtype=torch.float64) ** torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)
    target = torch.randn(3, 8, dtype=torch.float64, generator=generator)

    def objective(theta):
        return 0.5 * (scales * (theta - target).square()).sum(1), scales * (theta - target)

    found = minimize_batch(objective, torch.zeros_like(target), tolerance=1e-9)
    torch.testing.assert_close(found, target, atol=1e-6, rtol=0)
