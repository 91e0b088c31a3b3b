import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longway.functional.scores import shortcut_scores


def loop_scores(latents, labels, n_classes, weights):
    """One axis and one class at a time."""
    scores = []
    for axis in latents.T:
        mean, between = np.average(axis, weights=weights), 0.0
        for c in range(n_classes):
            of = labels == c
            between += weights[of].sum() / weights.sum() * (np.average(axis[of], weights=weights[of]) - mean) ** 2
        scores.append(np.sqrt(between / np.average((axis - mean) ** 2, weights=weights)))
    return np.array(scores)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n_classes=st.integers(2, 4), balanced=st.booleans())
def test_equals_the_obvious_loop(seed, n_classes, balanced):
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), generator.integers(0, n_classes, 40)])
    latents = generator.normal(size=(len(labels), 3)) * [1, 100, 1e-3] + labels[:, None] * [1, 0, 1e-3]
    counts = np.bincount(labels)
    weights = 1 / counts[labels] if balanced else np.ones(len(labels))
    found = shortcut_scores(torch.from_numpy(latents), torch.from_numpy(labels), n_classes, class_balanced=balanced)
    np.testing.assert_allclose(found.numpy(), loop_scores(latents, labels, n_classes, weights), atol=1e-10)


def test_two_classes_give_the_papers_score():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 200)
    latents = generator.normal(size=(200, 4)) + labels[:, None] * [0, 1, 2, -3]
    found = shortcut_scores(torch.from_numpy(latents), torch.from_numpy(labels), 2, class_balanced=False)
    expected = [abs(np.corrcoef(axis, labels)[0, 1]) for axis in latents.T]
    np.testing.assert_allclose(found.numpy(), expected)


def test_constant_axes_and_single_classes_score_zero():
    latents = torch.tensor([[1e6, 0.1], [1e6, 0.2], [1e6, 0.3]])
    assert shortcut_scores(latents, torch.tensor([0, 1, 1]), 2)[0] == 0
    assert shortcut_scores(latents, torch.tensor([1, 1, 1]), 2).tolist() == [0, 0]


def test_no_gradient_flows_through_the_scores():
    latents = torch.randn(10, 2, requires_grad=True)
    assert not shortcut_scores(latents, torch.arange(10) % 2, 2).requires_grad
