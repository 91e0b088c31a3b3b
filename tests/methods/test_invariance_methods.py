import numpy as np
import pytest
import torch
from torch import nn

from longway import IRM, LongwayError, VREx
from longway.datasets import make_planted_shortcut
from longway.functional.invariance import irm_penalty, risks
from longway.methods.invariance._environments import InvarianceObjective, environments
from longway.training.warmup import Warmup

DATA = make_planted_shortcut(600, correlation=0.9, n_features=5)


def test_groups_of_one_class_become_those_that_agree_and_those_that_contradict():
    found = environments(DATA.groups, DATA.y)
    np.testing.assert_array_equal(found, DATA.y != DATA.shortcut)


def test_groups_of_several_classes_stay():
    sites = np.arange(600) % 3 + 7
    np.testing.assert_array_equal(environments(sites, DATA.y), sites - 7)


def test_a_class_may_have_fewer_groups_than_another():
    groups, y = np.array([0, 0, 1, 2, 2, 2, 3, 3, 4]), np.array([0, 0, 0, 1, 1, 1, 1, 1, 1])
    assert environments(groups, y).tolist() == [0, 0, 1, 0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize("method", [IRM, VREx])
def test_sizes_of_environments_are_told(method):
    eval_set = (DATA.X, DATA.y, DATA.groups)
    fitted = method(epochs=1).fit(DATA.X, DATA.y, groups=DATA.groups, eval_set=eval_set)
    cells = np.bincount(DATA.groups)
    assert fitted.environment_sizes_.tolist() == [[cells[0], cells[3]], [cells[1], cells[2]]]
    assert fitted.group_inference_ == {}


@pytest.mark.parametrize("method", [IRM, VREx])
def test_one_environment_is_refused(method):
    with pytest.raises(LongwayError, match=r"groups give one environment only, .*: give groups that tell samples"):
        method(selection="average", epochs=1).fit(DATA.X, DATA.y, groups=DATA.y)


def test_the_penalty_gets_its_weight_after_a_share_of_training():
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    objective = InvarianceObjective(network, irm_penalty, 50.0, 2, Warmup(0.5, 12))
    x, y, e = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    batch = network(x), y, torch.ones(4), e, 2
    risk, penalty = risks(*batch)[0].mean(), irm_penalty(*batch)
    expected = [risk + penalty, risk + penalty, (risk + 50 * penalty) / 50]
    for value in expected:
        torch.testing.assert_close(objective(x, y, torch.ones(4), e)["loss"], value)


def test_the_count_is_part_of_the_state():
    elapsed = Warmup(0.5, 10)
    assert [elapsed(3), elapsed(3), elapsed(3)] == [False, False, True]
    again = Warmup(0.5, 10)
    again.load_state_dict(elapsed.state_dict())
    assert again(1)
