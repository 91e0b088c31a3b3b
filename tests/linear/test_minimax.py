import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn.functional import cross_entropy

from longway.linear._minimax import minimax_regression


def problem(n_classes, seed, n=90, d=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % n_classes
    groups = torch.randint(4, (n,), generator=generator)
    centres = 2 * torch.randn(n_classes, d, generator=generator, dtype=torch.float64)
    features = centres[labels] * (groups.unsqueeze(1) - 1) + torch.randn(n, d, generator=generator, dtype=torch.float64)
    weights = 1 / groups.bincount(minlength=4).double()[groups]
    return features, labels, weights, groups


def objective(flat, data, n_classes, l2, offset):
    """The largest group loss plus the ridge, group by group."""
    features, labels, _, groups = data
    head = torch.from_numpy(flat).reshape(n_classes, -1)
    losses = cross_entropy(features @ head[:, :-1].T + head[:, -1], labels, reduction="none")
    by_group = torch.stack([losses[groups == g].mean() for g in range(4)]) + offset
    return by_group, 0.5 * l2 * head[:, :-1].square().sum()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("with_offset", [False, True])
def test_equals_the_smallest_bound_on_all_groups(n_classes, with_offset):
    """The slow form: minimise t + ridge where no group loss exceeds t."""
    data, l2 = problem(n_classes, n_classes), 0.01
    offset = torch.tensor([0.0, 0.3, 0.1, 0.0], dtype=torch.float64) * with_offset
    found = minimax_regression(lambda: iter([data]), 3, n_classes, 4, l2=l2, offset=offset)
    flat = torch.cat([found.head.weight, found.head.bias.unsqueeze(1)], 1).numpy().ravel()
    by_group, penalty = objective(flat, data, n_classes, l2, offset)
    reached = float(by_group.max() + penalty)

    def bound(z):
        return z[-1] + float(objective(z[:-1], data, n_classes, l2, offset)[1])

    constraint = {"type": "ineq", "fun": lambda z: z[-1] - objective(z[:-1], data, n_classes, l2, offset)[0].numpy()}
    start = np.append(np.zeros(n_classes * 4), 1.5)
    slow = minimize(bound, start, constraints=[constraint], method="SLSQP", options={"maxiter": 500, "ftol": 1e-10})
    assert slow.success
    assert reached == pytest.approx(slow.fun, rel=5e-3)
    assert reached >= slow.fun - 1e-5
    assert reached - found.gap <= slow.fun + 1e-5
    held = found.group_weights > 0.05
    assert float(by_group[held].max() - by_group[held].min()) < 0.02 * float(by_group.max())


def test_pieces_and_scaling_change_nothing():
    features, labels, weights, groups = problem(2, 0)
    mean, std = features.mean(0), features.std(0)

    def pieces():
        parts = (slice(0, 40), slice(40, 80), slice(80, None))
        return ((5 * features[part], labels[part], weights[part], groups[part]) for part in parts)

    whole = minimax_regression(
        lambda: iter([((features - mean) / std, labels, weights, groups)]), 3, 2, 4, l2=0.1, tolerance=1e-9
    )
    scaled = minimax_regression(pieces, 3, 2, 4, l2=0.1, mean=5 * mean, std=5 * std, tolerance=1e-9)
    torch.testing.assert_close(whole.head.weight, scaled.head.weight, rtol=1e-4, atol=1e-5)
