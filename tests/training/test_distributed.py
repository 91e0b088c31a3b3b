"""Two processes on the CPU give the same result as one, also for losses with statistics of the whole batch."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from longway import LongwayError, training_options
from longway.data.samples import Samples
from longway.datasets import make_planted_shortcut
from longway.linear.feature_head import FeatureHead
from longway.methods.groupdro import GroupDROObjective
from longway.methods.lff import LfFObjective
from longway.training.distributed import gathered
from longway.training.loop import Schedule, train
from longway.utils.memmap import MemmapRef

DATA = make_planted_shortcut(75, correlation=0.8, n_features=6)
SAMPLES = Samples(DATA.X.astype(np.float32), DATA.y, np.linspace(1, 2, 75))


class All(nn.Module):
    """GroupDRO's and LfF's losses and buffers in one objective, so that the processes start only once."""

    def __init__(self):
        super().__init__()
        head = FeatureHead(6, 2, (8,))
        self.groupdro = GroupDROObjective(head, 0.5, torch.zeros(4))
        self.lff = LfFObjective(copy.deepcopy(head), copy.deepcopy(head), torch.from_numpy(DATA.y), 2, 0.7, 0.7)

    def forward(self, x, y, weight, group, sample):
        first, second = self.groupdro(x, y, weight, group), self.lff(x, y, weight, sample)
        return {"loss": first["loss"] + second["loss"], "worst": first["worst_loss"]}


def run(rate=0.05, **options):
    torch.manual_seed(0)
    objective = All()
    extras = DATA.groups.astype(np.int64), np.arange(75)
    with training_options(**options):
        history = train(
            objective,
            SAMPLES,
            Schedule(2, 15, rate, averaging=0.5),
            generator=np.random.default_rng(0),
            device="cpu",
            extras=extras,
        )
    return objective, history


def test_two_processes_equal_one():
    """Batches of 15: the two shares are unequal."""
    (one, first), (two, second) = run(), run(devices=2)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)
    for before, after in zip(first, second, strict=True):
        assert after == pytest.approx(before, rel=1e-4)


def test_errors_of_processes_are_one_line():
    with pytest.raises(LongwayError, match=r"^the loss became nan in epoch \d: lower learning_rate"):
        run(rate=1e30, devices=2)


def test_batches_too_small_to_share():
    with pytest.raises(LongwayError, match="devices=8 cannot share batches of 15: raise batch_size"):
        run(devices=8)


def test_one_process_returns_its_own_values():
    values = torch.rand(3, requires_grad=True)
    assert gathered(values) is values


def test_memory_mapped_samples_are_pickled_by_file_name(tmp_path):
    np.save(tmp_path / "X.npy", np.arange(60.0, dtype=np.float32).reshape(20, 3))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for X in (mapped, mapped[4:9], np.asarray(mapped)[2:], mapped[::2], np.array(mapped)):
        samples = Samples(X, np.zeros(len(X)), np.ones(len(X)))
        np.testing.assert_array_equal(copy.copy(samples).X, X)  # copies as pickle does
        by_file_name = isinstance(samples.__getstate__()["X"], MemmapRef)
        assert by_file_name == (isinstance(X.base, np.ndarray | type(mapped.base)) and X.flags.c_contiguous)
