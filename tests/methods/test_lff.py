import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from longway.methods.lff import LfFObjective


def test_weights_are_the_printed_ones():
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 0, 1, 1, 0])
    network, biased = nn.Linear(3, 2), nn.Linear(3, 2)
    objective = LfFObjective(network, biased, labels, 2, 0.7, 0.6)
    running, seen = np.zeros((2, 6)), np.zeros(6, bool)
    for batch in ([0, 1, 3], [2, 3, 5], [1, 4, 0]):
        index = torch.tensor(batch)
        x = torch.randn(3, 3)
        for row, net in enumerate((network, biased)):
            losses = cross_entropy(net(x), labels[index], reduction="none").detach().numpy()
            # A mean starts with the first loss in full, and the others decay it.
            running[row, batch] = 0.6 * running[row, batch] + (1 - 0.6 * seen[batch]) * losses
        seen[batch] = True
        expected = []
        for i in batch:
            same = [j for j in range(6) if labels[j] == labels[i]]
            own, other = (running[row, i] / running[row, same].max() for row in (0, 1))
            expected.append(other / (own + other + 1e-8))
        terms = objective(x, labels[index], torch.ones(3), index)
        np.testing.assert_allclose(float(terms["importance"]), np.mean(expected), rtol=1e-5)
        debiased = cross_entropy(network(x), labels[index], reduction="none") * torch.tensor(expected)
        torch.testing.assert_close(terms["debiased"], debiased.float().mean())


def test_no_gradient_runs_through_the_weights():
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 0, 1])
    network, biased = nn.Linear(3, 2), nn.Linear(3, 2)
    objective = LfFObjective(network, biased, labels, 2, 0.7, 0.0)
    x, index = torch.randn(4, 3), torch.arange(4)
    objective(x, labels, torch.ones(4), index)["debiased"].backward()
    assert biased.weight.grad is None
    assert network.weight.grad is not None
