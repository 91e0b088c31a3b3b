import numpy as np
import pytest
import torch
from torch import nn

from longway import LongwayError
from longway.data.samples import Samples
from longway.training.selection import BestEpoch, resolve_rule, selection_caveats


class Constant(nn.Module):
    """Predicts the same logits for all inputs."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return self.logits.expand(len(x), 2)


def test_auto_uses_groups_if_given():
    assert resolve_rule("auto", None) == "worst_class"
    assert resolve_rule("auto", np.zeros(3)) == "worst_group"


def test_unknown_and_impossible_rules():
    with pytest.raises(LongwayError, match="did you mean 'worst_group'"):
        resolve_rule("worst-group", None)
    with pytest.raises(LongwayError, match="needs groups of the validation data"):
        resolve_rule("worst_group", None)


@pytest.mark.parametrize(("rule", "kept"), [("average", 1), ("worst_class", 2), ("worst_group", 1), ("last", 2)])
def test_keeps_the_best_epoch_and_the_later_of_two(rule, kept):
    y, groups = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    network = Constant()
    best = BestEpoch(network, Samples(np.zeros((4, 1)), y, np.ones(4), groups), rule, "eval_set")
    for epoch, logits in enumerate([[1.0, 0.0], [0.0, 1.0]], start=1):
        network.logits.data = torch.tensor(logits)
        best.observe(epoch)
    chosen = best.restore()
    assert chosen["epoch"] == kept
    assert chosen["data"] == "eval_set"
    assert network.logits.tolist() == [[1.0, 0.0], [0.0, 1.0]][kept - 1]


@pytest.mark.parametrize(
    ("record", "count"),
    [
        ({}, 0),
        ({"rule": "last", "data": "eval_set"}, 0),
        ({"rule": "worst_group", "data": "eval_set"}, 0),
        ({"rule": "balanced", "data": "eval_set", "debiased": True}, 0),
        ({"rule": "balanced", "data": "eval_set"}, 1),
        ({"rule": "worst_class", "data": "validation_fraction"}, 1),
    ],
)
def test_a_selection_that_cannot_see_the_shortcut_is_said(record, count):
    found = selection_caveats(record)
    assert len(found) == count
    assert all(record["data"] in each and "give eval_set=(X, y, groups)" in each for each in found)
