import json
import re

import numpy as np
import pytest
import torch
from battery import small_images
from sklearn.datasets import load_iris
from torch import nn

from longway import ERM, SITAR, LongwayError, training_options
from longway.data.samples import Samples
from longway.training.loop import Schedule, train
from longway.training.options import TrainingOptions, current_options, one_fit

X, Y = load_iris(return_X_y=True)
NET = {"hidden": (8,), "epochs": 3}

WRONG = {
    "mixed_precision": ("bf16-mixd", "mixed_precision='bf16-mixd' is unknown; did you mean 'bf16-mixed'"),
    "tracker": ("tensorbord", "tracker='tensorbord' is unknown; did you mean 'tensorboard'"),
    "clip": (0, "clip=0 must be a number above 0"),
    "devices": (0, "devices=0 must be a whole number, 1 or more"),
    "checkpoint_every": (0.5, "checkpoint_every=0.5 must be a whole number, 1 or more"),
    "clips": (1, "training_options has no 'clips'; did you mean 'clip'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_invalid_options(name):
    value, message = WRONG[name]
    with pytest.raises(LongwayError, match=re.escape(message)), training_options(**{name: value}):
        pass


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(LongwayError, match=r"checkpoint='.*f' is a file: choose a folder"):
        TrainingOptions(checkpoint=tmp_path / "f")


def test_options_end_with_the_body_even_after_an_error():
    with pytest.raises(ZeroDivisionError), training_options(clip=1):
        1 / 0
    assert current_options() == TrainingOptions()


def test_16_bits_need_a_gpu():
    with (
        training_options(mixed_precision="16-mixed"),
        pytest.raises(LongwayError, match="needs a GPU, and this is cpu: use"),
    ):
        ERM(**NET, device="cpu").fit(X, Y)


def test_mixed_precision_is_close_and_keeps_single_precision_weights():
    images, y, _ = small_images()
    for make in (lambda: ERM(epochs=2, device="cpu"), lambda: SITAR(variant="paper", beta=0.1, epochs=2, device="cpu")):
        plain = make().fit(images, y)
        with training_options(mixed_precision="bf16-mixed"):
            mixed = make().fit(images, y)
        first, second = (method.history_[0]["loss"] for method in (plain, mixed))
        assert second == pytest.approx(first, rel=0.02)
        assert second != first
        assert {value.dtype for value in mixed.module_.state_dict().values()} == {torch.float32}


def test_inputs_stay_as_they_are_under_mixed_precision():
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x, y, weight):
            seen.append((x.dtype, weight.dtype, self.layer(x).dtype))
            return {"loss": self.layer(x).float().square().mean()}

    samples = Samples(X.astype(np.float32), Y, np.ones(150))
    with training_options(mixed_precision="bf16-mixed"):
        train(Spy(), samples, Schedule(1, 50, 0.1), generator=np.random.default_rng(0), device="cpu")
    assert set(seen) == {(torch.float32, torch.float32, torch.bfloat16)}


def test_clipping_bounds_the_gradient_of_a_step():
    class Steep(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))
            self.norms = []
            self.weight.register_post_accumulate_grad_hook(lambda p: self.norms.append(p.grad))

        def forward(self, x, y, weight):
            return {"loss": 100 * self.weight.sum()}

    samples = Samples(X.astype(np.float32), Y, np.ones(150))
    steep = Steep()
    with training_options(clip=0.5):
        train(steep, samples, Schedule(1, 150, 0.1), generator=np.random.default_rng(0), device="cpu")
    assert steep.norms[0].norm() == pytest.approx(0.5, rel=1e-4)  # clipped in place


def test_only_a_gpu_compiles(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda _: pytest.fail("compiled on the CPU"))
    with training_options(compile=True):
        ERM(**NET, device="cpu").fit(X, Y)


def test_a_compiled_objective_trains_the_same():
    """As on a GPU, but with the backend that needs no compiler: all of SITAR's step is one graph."""
    from longway.methods.sitar.estimator import SitarNet, SitarObjective

    torch.manual_seed(0)
    objective = SitarObjective(SitarNet((1, 8, 8), 2, 4, (8,)), 1.0, 2.0, 10.0, "sum", class_balanced=True)
    batch = torch.rand(16, 1, 8, 8), torch.arange(16) % 2, torch.ones(16)
    torch.manual_seed(1)
    plain = objective(*batch)
    torch.manual_seed(1)
    compiled = torch.compile(objective, backend="eager", fullgraph=True)(*batch)
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value)


def scalars(folder):
    """Read TensorBoard's files: for each folder, the values of each curve by step."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for file in sorted(folder.rglob("events*")):
        content, at = file.read_bytes(), 0
        curves = found.setdefault(file.parent.relative_to(folder).as_posix(), {})
        while at < len(content):
            size = int.from_bytes(content[at : at + 8], "little")
            event = Event.FromString(content[at + 12 : at + 12 + size])
            at += 16 + size
            for value in event.summary.value:
                curves.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_curves_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    with training_options(log=tmp_path):
        method = SITAR(epochs=2, first_epochs=3, device="cpu").fit(X, Y)
    found = scalars(tmp_path)
    assert list(found) == ["1 SITAR/1 beta-VAE", "1 SITAR/2 SITAR"]
    assert [len(curves["loss"]) for curves in found.values()] == [3, 2]
    curves = found["1 SITAR/2 SITAR"]
    for record in method.history_:
        for name in ("loss", "kl", "val_balanced"):
            assert curves[name][record["epoch"]] == pytest.approx(record[name], rel=1e-6)


def test_curves_for_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with training_options(log=tmp_path, tracker="mlflow"):
        method = ERM(**NET, device="cpu").fit(X, Y)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("training").experiment_id])
    assert (run.info.run_name, run.info.status) == ("1 ERM/1 ERM", "FINISHED")
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value) for m in losses] == [(r["epoch"], r["loss"]) for r in method.history_]


def test_a_fit_within_a_fit_is_a_part_of_it(tmp_path):
    from longway.training.options import next_run_paths

    with training_options(checkpoint=tmp_path), one_fit("outer"):
        first = next_run_paths("a")
        with one_fit("inner"):
            second = next_run_paths("b")
    assert (first.name, second.name) == ("1 outer/1 a", "1 outer/2 b")
    assert json.dumps(str(second.checkpoint)).endswith('run-2.safetensors"')
