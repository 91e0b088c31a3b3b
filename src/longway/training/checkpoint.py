"""The state of a training run, which can be saved, restored, and told apart from another run's."""

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
    """Return the object whose method is called after each epoch.

    Raises
    ------
    TypeError
        If it is no such object: what it remembers would be lost.
    """
    if callback is None:
        return None
    owner = getattr(callback, "__self__", callback)
    if not isinstance(owner, Observer):
        raise TypeError(
            f"{description}: callback must be a method of an object with state_dict and load_state_dict, or what it "
            "remembers can neither be kept in a checkpoint nor come back from another process"
        )
    return owner


@dataclass
class Training:
    """The changing state of a training run.

    Parameters
    ----------
    objective : nn.Module
        With the networks, and the buffers of the loss.
    generator : numpy Generator
        Draws the batches.
    observer : Observer, optional
        Follows the epochs.
    history : list of dict
        One record for each epoch so far.
    optimizer : Optimizer, optional
    scaler : optional
        Fabric's precision, which scales the loss where numbers are of 16 bits.
    average : WeightAverage, optional
        Of the networks' weights.
    """

    objective: nn.Module
    generator: np.random.Generator
    observer: Observer | None
    history: list[dict[str, float]]
    optimizer: torch.optim.Optimizer | None = None
    scaler: Any = None
    average: WeightAverage | None = None

    def state(self) -> State:
        """Return the current state."""
        return {
            "history": self.history,
            "objective": self.objective.state_dict(),
            "generator": self.generator.bit_generator.state,
            "random": {"cpu": torch.get_rng_state(), "cuda": [*map(torch.cuda.get_rng_state, _cuda_devices())]},
            "observer": self.observer.state_dict() if self.observer else {},
            "optimizer": self.optimizer.state_dict()["state"] if self.optimizer else {},
            "scaler": self.scaler.state_dict() if self.scaler else {},
            "average": self.average.state_dict() if self.average else {},
        }

    def restore(self, state: State) -> None:
        """Restore the state."""
        self.history[:] = state["history"]
        self.objective.load_state_dict(state["objective"])
        self.generator.bit_generator.state = state["generator"]
        torch.set_rng_state(state["random"]["cpu"])
        for device, random in zip(_cuda_devices(), state["random"]["cuda"], strict=False):
            torch.cuda.set_rng_state(random, device)
        if self.observer:
            self.observer.load_state_dict(state["observer"])
        if self.optimizer:
            moments = {int(number): value for number, value in state["optimizer"].items()}
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        if self.scaler:
            self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.load_state_dict(state["average"])


def _cuda_devices() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)


def fingerprint(
    training: Training, rows: Samples, known: Sequence[np.ndarray | None], settings: Mapping[str, Any]
) -> dict[str, str]:
    """Return the identity of a run before its first step: hashes of its inputs by name.

    Parameters
    ----------
    training : Training
    rows : Samples
    known : sequence of ndarray or None
        What else is known of the rows.
    settings : mapping
        Numbers and words that the run keeps to.
    """
    arrays = [rows.X, rows.y, rows.weight, rows.groups, rows.index, *known]
    kept = (bool, int, float, str, tuple)
    attributes = [
        [name, type(module).__name__]
        + [[key, repr(value)] for key, value in sorted(vars(module).items()) if isinstance(value, kept)]
        for name, module in training.objective.named_modules()
    ]
    return {
        "data": hash_json([None if array is None else hash_array(np.asarray(array)) for array in arrays]),
        "network or loss": hash_json([attributes, hash_module(training.objective)]),
        "settings": hash_json({name: str(value) for name, value in settings.items()}),
        "seed": hash_json([training.generator.bit_generator.state, hash_array(torch.get_rng_state().numpy())]),
    }


def save_state(path: Path, marks: Mapping[str, str], state: State) -> None:
    """Write a run's state to one file, atomically."""
    tensors: dict[str, Tensor] = {}
    tree = _without_tensors(state, tensors)
    write_tensors(path, {"longway": __version__, "kind": "checkpoint", "marks": dict(marks), "tree": tree}, tensors)


def load_state(path: Path, marks: Mapping[str, str]) -> State | None:
    """Read a run's state; None if there is none.

    Raises
    ------
    LongwayError
        If it is of another run, or damaged.
    """
    if not path.is_file():
        return None
    remedy = f"delete the folder {path.parent}, and the fit begins anew"
    header, tensors = read_tensors(path, wanted="a folder of checkpoints", remedy=remedy)
    if header.get("kind") != "checkpoint":
        raise LongwayError(f"{path} is no checkpoint: choose another folder with checkpoint=")
    other = [name for name, value in marks.items() if header["marks"].get(name) != value]
    if other:
        raise LongwayError(
            f"{path.parent} holds an unfinished fit whose {' and '.join(other)} differ from this one's: finish that, "
            "choose another folder with checkpoint=, or delete that one"
        )
    return cast(State, _with_tensors(header["tree"], tensors))


def _without_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a state with tensors replaced by numbers, which index ``tensors``."""
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
