import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from longway.nn.neighbours import Neighbours


def fitted(k=5, n=300, d=3):
    torch.manual_seed(0)
    module = Neighbours(d, 3, k)
    points, labels = torch.randn(n, d), torch.randint(3, (n,))
    module.set(points, labels, torch.ones(n))
    return module, points, labels


def test_shares_are_scikit_learns_but_for_a_third_of_a_vote():
    module, points, labels = fitted()
    queries = torch.randn(600, 3)
    reference = KNeighborsClassifier(5).fit(points.numpy(), labels.numpy()).predict_proba(queries.numpy())
    np.testing.assert_allclose(module(queries).exp().numpy(), (5 * reference + 1 / 3) / 6, atol=1e-6)


def test_few_points_and_points_without_weight():
    module = Neighbours(1, 2, 10)
    module.set(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0, 1, 1]), torch.tensor([3.0, 1.0, 0.0]))
    assert module.points.shape == (2, 1)
    shares = module(torch.zeros(1, 1)).exp()
    torch.testing.assert_close(shares, torch.tensor([[2.0, 1.0]]) / 3)


def test_a_state_brings_its_own_number_of_points():
    module, *_ = fitted()
    again = Neighbours(3, 3, 5)
    again.load_state_dict(module.state_dict())
    queries = torch.randn(7, 3)
    assert torch.equal(again(queries), module(queries))
