import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from longway.functional.invariance import irm_penalty, risk_variance, risks, scale_derivatives


def batch(seed, n=12, n_classes=3, n_environments=3):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, n_classes, dtype=torch.float64, generator=generator)
    labels = torch.randint(n_classes, (n,), generator=generator)
    weights = torch.rand(n, dtype=torch.float64, generator=generator) + 0.1
    return logits, labels, weights, torch.randint(n_environments, (n,), generator=generator), n_environments


def scaled_risk(logits, labels, weights, scale):
    losses = cross_entropy(scale * logits, labels, reduction="none")
    return weights @ losses / weights.sum()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 4))
def test_the_penalty_is_that_of_a_second_pass_of_automatic_differentiation(seed, n_classes, n_environments):
    logits, labels, weights, environments, _ = batch(seed, 12, n_classes, n_environments)
    logits.requires_grad_()
    squares, values = [], []
    for e in environments.unique():
        scale = torch.ones((), dtype=torch.float64, requires_grad=True)
        members = environments == e
        risk = scaled_risk(logits[members], labels[members], weights[members], scale)
        (slope,) = torch.autograd.grad(risk, scale, create_graph=True)
        squares.append(slope.square())
        values.append(risk)
    given_batch = logits, labels, weights, environments, n_environments
    for ours, slow in (
        (irm_penalty(*given_batch), torch.stack(squares).mean()),
        (risk_variance(*given_batch), torch.stack(values).var(correction=0)),
    ):
        torch.testing.assert_close(ours, slow)
        (gradient,) = torch.autograd.grad(ours, logits, retain_graph=True)
        torch.testing.assert_close(gradient, torch.autograd.grad(slow, logits, retain_graph=True)[0])


def test_an_environment_without_samples_counts_for_nothing():
    logits, labels, weights, environments, _ = batch(1, n_environments=2)
    for kernel in (irm_penalty, risk_variance):
        torch.testing.assert_close(
            kernel(logits, labels, weights, environments, 5), kernel(logits, labels, weights, environments, 2)
        )
    assert risks(logits, labels, weights, environments, 5)[1].tolist() == [True, True, False, False, False]


def test_a_calibrated_classifier_has_no_slope():
    """The best logits for what an environment shows cannot be bettered by a factor: so the attribute is none."""
    labels = torch.tensor([0] * 9 + [1])
    logits = torch.tensor([0.9, 0.1], dtype=torch.float64).log().expand(10, 2)
    slopes, _ = scale_derivatives(logits, labels, torch.ones(10), torch.zeros(10, dtype=torch.int64), 1)
    assert slopes.item() == pytest.approx(0, abs=1e-12)


def test_derivatives_of_rounded_logits_are_in_single_precision():
    logits, labels, weights, environments, n = batch(0)
    rounded = logits.bfloat16()
    found, _ = scale_derivatives(rounded, labels, weights.float(), environments, n)
    assert torch.equal(found, scale_derivatives(rounded.float(), labels, weights.float(), environments, n)[0])
    assert found.dtype == torch.float32
