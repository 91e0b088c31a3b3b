import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from longway.linear._hypergradient import OuterLoss, adapt, inner_curvature
from longway.linear.head import LinearHead


def problem(seed, n_classes, m=10, k=7, d=6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    labels = torch.randint(n_classes, (m,), generator=generator)
    hard_labels = torch.randint(n_classes, (k,), generator=generator)
    return draw(m, d), labels, draw(k, d), hard_labels, LinearHead(0.3 * draw(n_classes, d), 0.3 * draw(n_classes))


def by_autograd(support, labels, hard, hard_labels, head, steps, rate):
    """Unroll the descent with a graph and differentiate through it."""
    support = support.clone().requires_grad_()
    weight, bias = (part.clone().requires_grad_() for part in head)
    for _ in range(steps):
        loss = cross_entropy(support @ weight.T + bias, labels)
        by_weight, by_bias = torch.autograd.grad(loss, (weight, bias), create_graph=True)
        weight, bias = weight - rate * by_weight, bias - rate * by_bias
    outer = cross_entropy(hard @ weight.T + bias, hard_labels)
    return outer, torch.autograd.grad(outer, support)[0], weight, bias


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_classes=st.integers(2, 5),
    steps=st.integers(1, 20),
    rate=st.sampled_from([1e-3, 0.1, 1.0]),
    form=st.sampled_from(["kernel", "direct", "auto"]),
)
def test_equals_autograd(seed, n_classes, steps, rate, form):
    data = problem(seed, n_classes)
    loss, gradient, weight, bias = by_autograd(*data, steps, rate)
    support, labels, *outer, head = data
    found = OuterLoss(labels, *outer, head, steps=steps, form=form).gradient(support, rate)
    torch.testing.assert_close(found.loss, loss)
    torch.testing.assert_close(found.support, gradient, rtol=1e-8, atol=1e-12)
    adapted = adapt(support, labels, head, steps=steps, rate=rate, form=form)
    torch.testing.assert_close(adapted.weight, weight)
    torch.testing.assert_close(adapted.bias, bias)


@pytest.mark.parametrize("form", ["kernel", "direct"])
def test_edits_of_one_support_do_not_touch_each_other(form):
    support, labels, *outer, head = problem(5, 3)
    loss = OuterLoss(labels, *outer, head, steps=3, form=form)
    first = loss.gradient(support, 0.2)
    loss.gradient(2 * support, 0.1)
    again = loss.gradient(support, 0.2)
    assert torch.equal(first.support, again.support)
    assert torch.equal(first.loss, again.loss)


@pytest.mark.parametrize("form", ["kernel", "direct"])
def test_equals_autograd_in_single_precision_on_published_shapes(form):
    data = problem(0, 2, m=32, k=128, d=2048, dtype=torch.float32)
    _, gradient, *_ = by_autograd(*data, 15, 5e-5)
    support, labels, *outer, head = data
    found = OuterLoss(labels, *outer, head, steps=15, form=form).gradient(support, 5e-5).support
    assert float((found - gradient).norm() / gradient.norm()) < 1e-5


def test_adapt_is_gradient_descent():
    support, labels, _, _, head = problem(1, 3)
    weight, bias = (part.clone().requires_grad_() for part in head)
    optimizer = torch.optim.SGD([weight, bias], lr=0.2)
    for _ in range(5):
        optimizer.zero_grad()
        cross_entropy(support @ weight.T + bias, labels).backward()
        optimizer.step()
    found = adapt(support, labels, head, steps=5, rate=0.2)
    torch.testing.assert_close(found.weight, weight.detach())
    torch.testing.assert_close(found.bias, bias.detach())


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_curvature_is_the_top_eigenvalue_at_any_scale(scale):
    support = scale * problem(2, 2, m=20)[0]
    inputs = torch.cat([support, torch.ones(20, 1, dtype=torch.float64)], 1)
    expected = 0.5 * torch.linalg.eigvalsh(inputs.T @ inputs / 20)[-1]
    assert inner_curvature(support, 500) == pytest.approx(float(expected), rel=1e-3)


def test_weights_of_hard_samples_are_repetitions():
    support, labels, hard, hard_labels, head = problem(3, 3)
    weights = torch.tensor([2.0, 1, 0, 1, 1, 1, 2], dtype=torch.float64)
    rows = torch.repeat_interleave(torch.arange(7), weights.long())
    weighted = OuterLoss(labels, hard, hard_labels, head, steps=4, hard_weights=weights / 8).gradient(support, 0.3)
    repeated = OuterLoss(labels, hard[rows], hard_labels[rows], head, steps=4).gradient(support, 0.3)
    torch.testing.assert_close(weighted.loss, repeated.loss)
    torch.testing.assert_close(weighted.support, repeated.support)


def test_curvature_is_the_same_for_few_and_for_many_rows():
    support = problem(4, 2, m=8, d=30)[0]
    many = torch.cat([support] * 5)
    assert inner_curvature(support, 500) == pytest.approx(inner_curvature(many, 500), rel=1e-6)
