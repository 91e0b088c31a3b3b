import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from battery import ROWS, small_images
from sklearn.base import clone

from longway import ERM, JTT, LfF, LongwayError, infer_groups, load, training_options
from longway.training.checkpoint import save_state

X, Y, GROUPS = small_images()
SHORT = {"epochs": 3, "averaging": 0.5, "device": "cpu"}


def short(method):
    """Return a method with few epochs in all its parts."""
    changes = {**SHORT, "first_epochs": 2, "beta": 0.1}
    return clone(method).set_params(**{name: v for name, v in changes.items() if name in method.get_params()})


METHODS = {name: short(row.method) for name, row in ROWS.items() if row.method.takes_images}
METHODS |= {"jtt-sgd": short(JTT.from_paper("celeba", upweight=2)), "lff-last": short(LfF.from_paper("cmnist"))}


class Killed(BaseException):
    """Simulated end of the process."""


def killed_after(monkeypatch, saves):
    """Raise Killed right after that many checkpoints."""
    left = [saves]

    def save(path, fingerprint, state):
        save_state(path, fingerprint, state)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    monkeypatch.setattr("longway.training.loop.save_state", save)


def fitted(method, folder=None, **options):
    with training_options(checkpoint=folder, **options):
        return clone(method).fit(X, Y, groups=GROUPS)


@pytest.mark.filterwarnings("ignore:the posterior has collapsed")
@pytest.mark.parametrize("name", METHODS)
def test_killed_at_any_epoch_and_resumed_equals_uninterrupted(name, tmp_path, monkeypatch):
    whole = fitted(METHODS[name])
    for saves in range(1, 100):
        with monkeypatch.context() as patch:
            killed_after(patch, saves)
            try:
                fitted(METHODS[name], tmp_path / str(saves))
            except Killed:
                pass
            else:
                break
        resumed = fitted(METHODS[name], tmp_path / str(saves))
        np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))
        assert (resumed.history_, resumed.selection_) == (whole.history_, whole.selection_)
        assert not (tmp_path / str(saves)).exists()
    assert saves > SHORT["epochs"]


def test_group_inference_resumes_too(tmp_path, monkeypatch):
    options = {"strategy": "errors", "epochs": 2, "device": "cpu"}
    whole = infer_groups(X, Y, **options)
    with monkeypatch.context() as patch, training_options(checkpoint=tmp_path / "c"):
        killed_after(patch, 1)
        with pytest.raises(Killed):
            infer_groups(X, Y, **options)
    with training_options(checkpoint=tmp_path / "c"):
        np.testing.assert_array_equal(infer_groups(X, Y, **options).groups, whole.groups)


def unfinished(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        killed_after(patch, 1)
        with pytest.raises(Killed):
            fitted(METHODS["erm"], tmp_path)
    return tmp_path / "fit-1" / "run-1.safetensors"


OTHERS = {
    "data": (lambda: ERM(**SHORT).fit(X + 1 / 512, Y), "data"),
    "learning rate": (lambda: ERM(**SHORT, learning_rate=0.1).fit(X, Y), "settings"),
    "seed": (lambda: ERM(**SHORT, random_state=1).fit(X, Y), "data and network or loss and seed"),
    "method": (lambda: JTT(**SHORT).fit(X, Y), "settings"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_fit_is_refused(name, tmp_path, monkeypatch):
    unfinished(tmp_path, monkeypatch)
    fit, what = OTHERS[name]
    message = (
        rf"fit-1 holds an unfinished fit whose {what} differ from this one's: finish that fit \(it was started with "
        r"Longway [\d.]+\), choose another folder with checkpoint=, or delete .*fit-1$"
    )
    with training_options(checkpoint=tmp_path), pytest.raises(LongwayError, match=message):
        fit()


def test_a_damaged_checkpoint_is_refused(tmp_path, monkeypatch):
    file = unfinished(tmp_path, monkeypatch)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(LongwayError, match=r"is damaged .*: delete the folder .*fit-1, and the fit starts again"):
        fitted(METHODS["erm"], tmp_path)


def test_callback_without_a_state_cannot_be_checkpointed(tmp_path):
    from longway.data.samples import Samples
    from longway.training.loop import CHECK_EVERY, Schedule, train

    assert CHECK_EVERY > 0
    network = METHODS["erm"]._build((4,), 2)
    samples = Samples(np.zeros((8, 4), np.float32), np.arange(8) % 2, np.ones(8))
    with training_options(checkpoint=tmp_path), pytest.raises(TypeError, match="state_dict and load_state_dict"):
        train(network, samples, Schedule(1, 8, 0.1), generator=np.random.default_rng(0), callback=lambda epoch: {})


SCRIPT = """
import os, signal, sys
import longway.training.loop as training
from longway.training.checkpoint import save_state
from longway.cli import main
left = [int(sys.argv[1])]
def save(*given):
    save_state(*given)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
training.save_state = save
main(sys.argv[2:])
"""


def test_sigkill_on_the_command_line(tmp_path):
    np.savez(tmp_path / "d.npz", X=X[:60], y=Y[:60])
    out = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]

    def run(saves: int, out: Path, *more: str) -> int:
        line = ["fit", "sitar", tmp_path / "d.npz", "-q", "--json", "--device", "cpu", "-o", out]
        line += ["-s", "epochs=2", "-s", "first_epochs=2", "-s", "beta=0.1", *more]
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(saves), *map(str, line)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    folder = ("--checkpoint", str(tmp_path / "c"))
    assert run(3, out[0], *folder) == -signal.SIGKILL
    assert not out[0].exists()
    assert run(0, out[0], *folder) == 0
    assert run(0, out[1]) == 0
    first, second = map(load, out)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert not (tmp_path / "c").exists()
