import pytest
import torch
from torch.nn.functional import cross_entropy

from longway.functional.losses import generalized_cross_entropy
from longway.linear._ablation import ablation_drops, necessity
from longway.linear.head import LinearHead


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
def test_generalised_cross_entropy_is_cross_entropy_weighted_by_confidence(q):
    torch.manual_seed(0)
    logits, labels = torch.randn(8, 3, dtype=torch.float64, requires_grad=True), torch.arange(8) % 3
    p = logits.detach().softmax(1)[torch.arange(8), labels]
    (ours,) = torch.autograd.grad(generalized_cross_entropy(logits, labels, q).sum(), logits)
    (weighted,) = torch.autograd.grad((cross_entropy(logits, labels, reduction="none") * p**q).sum(), logits)
    torch.testing.assert_close(ours, weighted)
    torch.testing.assert_close(generalized_cross_entropy(logits, labels, q), (1 - p**q) / q)


def test_drops_are_those_of_ablating_one_feature_after_the_other():
    torch.manual_seed(0)
    x, y = torch.randn(7, 4, dtype=torch.float64), torch.arange(7) % 3
    head = LinearHead(torch.randn(3, 4, dtype=torch.float64), torch.randn(3, dtype=torch.float64))
    drops = ablation_drops(x, y, head)
    for j in range(4):
        without = x.clone()
        without[:, j] = 0
        for i in range(7):
            full, less = (head.logits(some)[i].softmax(0)[y[i]] for some in (x, without))
            torch.testing.assert_close(drops[i, j], full - less)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_gradient_of_necessity_is_that_of_autograd(n_classes):
    torch.manual_seed(n_classes)
    x, y, w = torch.randn(9, 5, dtype=torch.float64), torch.arange(9) % n_classes, torch.rand(9, dtype=torch.float64)
    weight = torch.randn(n_classes, 5, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(n_classes, dtype=torch.float64, requires_grad=True)
    slow = w @ ablation_drops(x, y, LinearHead(weight, bias)).clamp_min(0).log1p().mean(1)
    slow.backward()
    value, gradient = necessity(x, y, w, LinearHead(weight.detach(), bias.detach()))
    torch.testing.assert_close(value, slow.detach())
    torch.testing.assert_close(gradient.weight, weight.grad)
    torch.testing.assert_close(gradient.bias, bias.grad)
    sure = necessity(100 * x, y, w, LinearHead(weight.detach(), bias.detach()))
    assert all(torch.isfinite(part).all() for part in (sure[0], *sure[1]))
