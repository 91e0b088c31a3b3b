"""Checkpoints of training runs: state, fingerprint, saving and loading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from longway._version import __version__
from longway.data.samples import Samples
from longway.training.weight_average import WeightAverage
from longway.utils.errors import LongwayError
from longway.utils.safetensors import read_tensors, write_tensors
from longway.utils.storage import hash_array, hash_json, hash_module

State = dict[str, Any]
"""Nested dicts and lists of tensors and JSON values."""


@runtime_checkable
class Observer(Protocol):
    """An object that follows a training run and has a state to save."""

    def state_dict(self) -> State:
        """Return the state."""

    def load_state_dict(self, state: State) -> None:
        """Restore the state."""


def observer_of(callback: Callable[..., Any] | None, description: str) -> Observer | None:
    """Return the object that a callback is a method of.

    Raises
    ------
    TypeError
        If the object is no `Observer`, because its state would be lost.
    """
    if callback is None:
        return None
    owner = getattr(callback, "__self__", callback)
    if not isinstance(owner, Observer):
        raise TypeError(
            f"{description}: callback must be a method of an object with state_dict and load_state_dict; otherwise its "
            "state can neither be saved in a checkpoint nor returned by another process"
        )
    return owner


@dataclass
class TrainingState:
    """The changing state of a training run.

    Parameters
    ----------
    objective : nn.Module
        Holds the networks and the buffers of the loss.
    generator : numpy Generator
        Draws the batches.
    observer : Observer, optional
    history : list of dict
        One record per epoch so far.
    optimizer : Optimizer, optional
    scaler : optional
        Fabric's precision plugin; it holds the loss scale of float16.
    average : WeightAverage, optional
    """

    objective: nn.Module
    generator: np.random.Generator
    observer: Observer | None
    history: list[dict[str, float]]
    optimizer: torch.optim.Optimizer | None = None
    scaler: Any = None
    average: WeightAverage | None = None

    def state_dict(self) -> State:
        """Return the state for a checkpoint."""
        return {
            "history": self.history,
            "objective": self.objective.state_dict(),
            "generator": self.generator.bit_generator.state,
            "random": {"cpu": torch.get_rng_state(), "cuda": [*map(torch.cuda.get_rng_state, _cuda_devices())]},
            "observer": self.observer.state_dict() if self.observer else {},
            # Only the moments: the hyperparameters are part of the fingerprint.
            "optimizer": self.optimizer.state_dict()["state"] if self.optimizer else {},
            "scaler": self.scaler.state_dict() if self.scaler else {},
            "average": self.average.state_dict() if self.average else {},
        }

    def load_state_dict(self, state: State) -> None:
        """Restore the state."""
        self.history[:] = state["history"]
        self.objective.load_state_dict(state["objective"])
        self.generator.bit_generator.state = state["generator"]
        torch.set_rng_state(state["random"]["cpu"])
        for device, random in zip(_cuda_devices(), state["random"]["cuda"], strict=False):
            torch.cuda.set_rng_state(random, device)
        if self.optimizer:
            moments = {int(number): value for number, value in state["optimizer"].items()}  # JSON made them str
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        for name in ("observer", "scaler", "average"):
            if part := getattr(self, name):
                part.load_state_dict(state[name])


def _cuda_devices() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)


def fingerprint(
    training: TrainingState, samples: Samples, extras: Sequence[np.ndarray | None], settings: Mapping[str, Any]
) -> dict[str, str]:
    """Hash the inputs of a run before its first step.

    Parameters
    ----------
    training : TrainingState
    samples : Samples
    extras : sequence of ndarray or None
        Further arrays with one entry per sample.
    settings : mapping
        Settings that determine the result.

    Returns
    -------
    dict of str to str
        One hash each for the data, the network and loss, the settings and the seed.
    """
    arrays = [samples.X, samples.y, samples.weight, samples.groups, samples.index, *extras]
    hashed = (bool, int, float, str, tuple)
    attributes = [
        [name, type(module).__name__]
        + [[key, repr(value)] for key, value in sorted(vars(module).items()) if isinstance(value, hashed)]
        for name, module in training.objective.named_modules()
    ]
    return {
        "data": hash_json([None if array is None else hash_array(np.asarray(array)) for array in arrays]),
        "network or loss": hash_json([attributes, hash_module(training.objective)]),
        "settings": hash_json({name: str(value) for name, value in settings.items()}),
        "seed": hash_json([training.generator.bit_generator.state, hash_array(torch.get_rng_state().numpy())]),
    }


def save_state(path: Path, fingerprint: Mapping[str, str], state: State) -> None:
    """Write a run's state to one file, atomically."""
    tensors: dict[str, Tensor] = {}
    header = {"longway": __version__, "kind": "checkpoint", "marks": dict(fingerprint)}
    write_tensors(path, {**header, "tree": _without_tensors(state, tensors)}, tensors)


def load_state(path: Path, fingerprint: Mapping[str, str]) -> State | None:
    """Read a run's state; None if there is no file.

    Raises
    ------
    LongwayError
        If the file is damaged, no checkpoint, or belongs to another run.
    """
    if not path.is_file():
        return None
    folder = path.parent
    remedy = f"delete the folder {folder}, and the fit starts again"
    header, tensors = read_tensors(path, wanted="a folder of checkpoints", remedy=remedy)
    if header.get("kind") != "checkpoint":
        raise LongwayError(f"{path} is no checkpoint: choose another folder with checkpoint=")
    different = [name for name, value in fingerprint.items() if header["marks"].get(name) != value]
    if different:
        raise LongwayError(
            f"{folder} holds an unfinished fit whose {' and '.join(different)} differ from this one's: finish that fit "
            f"(it was started with Longway {header['longway']}), choose another folder with checkpoint=, or delete "
            f"{folder}"
        )
    return cast(State, _with_tensors(header["tree"], tensors))


def _without_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a state as JSON values, with each tensor moved to ``tensors`` and replaced by its key."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"mapping": {str(key): _without_tensors(item, tensors) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return [_without_tensors(item, tensors) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else float(value)


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_with_tensors(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    return {key: _with_tensors(item, tensors) for key, item in value["mapping"].items()}
