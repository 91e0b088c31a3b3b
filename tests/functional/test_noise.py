"""Theorem 1 of SITAR, as a property: noise in expectation is the penalty, up to the fourth power of its scale."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from longway.functional.noise import consistency, divergence, perturb, targeted_penalty


def expected_loss(classifier, latents, labels, scores, scale, weight, nodes=9):
    """E[CE(f(z_bar))] + lambda E||f(z_bar) - f(z)||^2 by Gauss-Hermite quadrature over the noise on two axes."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    clean, total = classifier(latents), 0.0
    for a, wa in zip(points, weights, strict=True):
        for b, wb in zip(points, weights, strict=True):
            noisy = classifier(latents + scale * scores * torch.tensor([a, b]))
            total = total + wa * wb * (cross_entropy(noisy, labels) + weight * consistency(clean, noisy))
    return total


def gap(classifier, latents, labels, scores, scale, weight):
    """What is left after the clean loss and Theorem 1's second-order term."""
    second_order = targeted_penalty(classifier, latents, scores, scale, weight)
    expected = expected_loss(classifier, latents, labels, scores, scale, weight)
    return (expected - cross_entropy(classifier(latents), labels) - second_order).item()


def problem(seed, n_classes, hidden=None):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    latents, labels = draw(6, 2), torch.randint(n_classes, (6,), generator=generator)
    scores = torch.rand(2, generator=generator, dtype=torch.float64)
    if hidden is None:
        W, b = draw(2, n_classes), draw(n_classes)
        return (lambda z: z @ W + b), latents, labels, scores
    A, W = draw(2, hidden), draw(hidden, n_classes)
    # A bias far from zero keeps every ReLU on one side of its kink for any noise that the quadrature tries.
    b = 30 * (2 * torch.randint(2, (hidden,), generator=generator) - 1).double()
    return (lambda z: ((z @ A + b).relu() - b.relu()) @ W), latents, labels, scores


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_classes=st.integers(2, 5),
    weight=st.floats(0, 50),
    hidden=st.sampled_from([None, 8]),
)
def test_theorem_1(seed, n_classes, weight, hidden):
    classifier, latents, labels, scores = problem(seed, n_classes, hidden)
    # O(scale^4): halving the scale divides what is left by 16, until rounding takes over.
    large, small = (abs(gap(classifier, latents, labels, scores, a, weight)) for a in (0.04, 0.02))
    assert small <= large / 12 + 1e-9


def test_theorem_1_leaves_out_the_classifiers_own_curvature():
    _, latents, labels, scores = problem(3, 3)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    p = (network(latents).softmax(1) - nn.functional.one_hot(labels, 3)).detach()
    curvature = 0.0
    for z, q in zip(latents, p, strict=True):
        hessian = torch.func.hessian(lambda z: network(z.unsqueeze(0))[0] @ q)(z)  # noqa: B023
        curvature += 0.5 * (hessian.diagonal() * scores.square()).sum().item() / len(latents)
    for scale in (0.02, 0.01):
        left = gap(network, latents, labels, scores, scale, 0.0)
        assert left == pytest.approx(scale**2 * curvature, rel=0.02)


def test_linear_classifier_consistency_is_exact():
    classifier, latents, labels, scores = problem(1, 4)
    with_weight = gap(classifier, latents, labels, scores, 0.5, 7.0)
    without = gap(classifier, latents, labels, scores, 0.5, 0.0)
    assert with_weight == pytest.approx(without, abs=1e-10)


def test_noise_follows_the_scores():
    torch.manual_seed(0)
    noise = perturb(torch.zeros(20_000, 3), torch.tensor([0.0, 0.5, 1.0]), 2.0)
    assert noise[:, 0].abs().max() == 0
    torch.testing.assert_close(noise.std(0)[1:], torch.tensor([1.0, 2.0]), rtol=0.03, atol=0)


def test_divergence_is_the_mean_of_two_kl_divergences():
    torch.manual_seed(0)
    first, second = 3 * torch.randn(2, 50, 4, dtype=torch.float64)
    p, q = first.softmax(1), second.softmax(1)
    middle = (p + q) / 2
    expected = 0.5 * ((p * (p / middle).log()).sum(1) + (q * (q / middle).log()).sum(1)).mean()
    torch.testing.assert_close(divergence(first, second), expected)
    torch.testing.assert_close(divergence(first, first + 7), torch.zeros((), dtype=torch.float64), atol=1e-12, rtol=0)
    opposed = torch.tensor([[1e4, -1e4]])
    torch.testing.assert_close(divergence(opposed, -opposed), torch.tensor(2.0).log())
    near = torch.tensor([[0.0, 1e-3]], requires_grad=True)
    assert torch.autograd.grad(divergence(near, near + 1), near)[0].isfinite().all()
