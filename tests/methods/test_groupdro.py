import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from longway import RWG, GroupDRO
from longway.datasets import make_planted_shortcut
from longway.methods.groupdro import GroupDROObjective

DATA = make_planted_shortcut(600, correlation=0.9, n_features=5)


def group_losses(method):
    log_p = np.log(method.predict_proba(DATA.X)[np.arange(600), DATA.y])
    return np.array([-log_p[DATA.groups == g].mean() for g in range(4)])


def test_worst_loss_is_lower_than_that_of_balancing_and_held_by_several_groups():
    dro, rwg = (cls().fit(DATA.X, DATA.y, groups=DATA.groups) for cls in (GroupDRO, RWG))
    losses = group_losses(dro)
    assert losses.max() < group_losses(rwg).max()
    active = dro.group_weights_ > 0.05
    assert active.sum() > 1
    assert np.ptp(losses[active]) < 0.01 * losses.max()
    assert dro.gap_ < 0.005 * losses.max()


def test_adjustment_favours_small_groups():
    plain, adjusted = (GroupDRO(adjustment=c).fit(DATA.X, DATA.y, groups=DATA.groups) for c in (0, 2))
    small = np.bincount(DATA.groups).argsort()[:2]
    assert group_losses(adjusted)[small].max() < group_losses(plain)[small].max()


def test_online_weights_are_the_printed_ones():
    torch.manual_seed(0)
    network, eta = nn.Linear(3, 2), 0.5
    objective = GroupDROObjective(network, eta, torch.tensor([0.1, 0.2, 0.3]))
    weights = torch.full((3,), 1 / 3)
    for _ in range(3):
        x, y, g = torch.randn(20, 3), torch.randint(2, (20,)), torch.randint(2, (20,))
        loss = objective(x, y, torch.ones(20), g)["loss"]
        by_group = torch.stack([cross_entropy(network(x[g == k]), y[g == k]) for k in range(2)] + [torch.zeros(())])
        weights = weights * (eta * (by_group + objective.offset) * torch.tensor([1, 1, 0])).exp()
        weights = weights / weights.sum()
        torch.testing.assert_close(objective.log_weights.exp(), weights.detach())
        torch.testing.assert_close(loss, weights @ by_group)


def test_small_inferred_groups_join_and_given_ones_stay():
    groups = np.where(np.arange(600) == 0, 9, DATA.groups)
    assert len(GroupDRO().fit(DATA.X, DATA.y, groups=groups).group_weights_) == 5
    few = GroupDRO(group_inference="errors", group_inference_params={"min_group_size": 10**6}).fit(DATA.X, DATA.y)
    assert len(few.group_weights_) == 2


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_weights_of_groups_sum_to_one(hidden):
    fitted = GroupDRO(hidden=hidden, epochs=2).fit(
        DATA.X, DATA.y, groups=DATA.groups, eval_set=(*DATA[:2], DATA.groups)
    )
    assert fitted.group_weights_.shape == (4,)
    assert fitted.group_weights_.sum() == pytest.approx(1, abs=1e-5)
