"""The training loop of everything that takes gradient steps over batches.

The caller chooses the objective, the data and the schedule; ``longway.training_options`` around the call sets
precision, devices, checkpoints and curves.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from longway.data.samples import Samples
from longway.training.checkpoint import State, TrainingState, fingerprint, load_state, observer_of, save_state
from longway.training.loggers import logging_to
from longway.training.options import RunPaths, TrainingOptions, current_options, next_run_paths, one_fit
from longway.training.weight_average import WeightAverage
from longway.utils.device import resolve_device
from longway.utils.errors import LongwayError
from longway.utils.optimizers import make_optimizer
from longway.utils.progress import progress

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CHECK_EVERY = 50
"""Steps between checks of the loss; on a GPU, a check waits for all previous steps. Chosen by hand."""


@dataclass(frozen=True)
class Schedule:
    """Length and speed of training on shuffled batches.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    batch_size : int
        Samples per step.
    learning_rate : float
    weight_decay : float, default 0
    averaging : float, default 0
        Fraction of the steps so far over which the weights are averaged (see `WeightAverage`). ``callback`` sees the
        averaged weights, and they are the final ones; with 0, these are the weights of the last step.
    optimizer : {"adamw", "sgd"}, default "adamw"
        See `longway.utils.optimizers.make_optimizer`.
    momentum : float, default 0
        Of "sgd".
    cosine : bool, default False
        Lower the learning rate after each epoch along half a cosine, from its value in the first epoch towards 0.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    averaging: float = 0.0
    optimizer: str = "adamw"
    momentum: float = 0.0
    cosine: bool = False

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 1."""
        if not self.cosine:
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / self.epochs)) / 2


def train(
    objective: nn.Module,
    samples: Samples,
    schedule: Schedule,
    *,
    generator: np.random.Generator,
    device: str = "auto",
    sampling: np.ndarray | None = None,
    extras: Sequence[np.ndarray] = (),
    callback: Callable[[int], dict[str, float]] | None = None,
    verbose: int = 0,
    description: str = "training",
) -> list[dict[str, float]]:
    """Train a module in place.

    Parameters
    ----------
    objective : nn.Module
        ``objective(x, y, weight, *extras)`` returns a dict of scalar tensors; ``loss`` is minimised, all are recorded.
        State other than the networks' weights must be in buffers. Statistics of the whole batch should be computed
        from ``longway.training.distributed.gathered`` values.
    samples : Samples
        Training data.
    schedule : Schedule
    generator : numpy Generator
        Draws the batches.
    device : str, default "auto"
    sampling : ndarray of shape (n,), optional
        Draw n samples per epoch with replacement, with probabilities proportional to these. By default, each sample is
        drawn once.
    extras : sequence of ndarray of shape (n, ...), optional
        Further inputs of the objective per sample, such as its group or its position.
    callback : callable, optional
        Called with the epoch's number after each epoch; returns further entries of the record. Checkpoints and several
        devices require a method of a ``checkpoint.Observer``.
    verbose : int, default 0
        1 shows a progress bar.
    description : str
        Label of the progress bar.

    Returns
    -------
    list of dict
        One record per epoch: its number, the mean of each loss term, and the entries from ``callback``.

    Raises
    ------
    LongwayError
        If the loss is not finite (checked every ``CHECK_EVERY`` steps), a checkpoint belongs to another run, or the
        device does not support the training options.
    """
    options, target = current_options(), resolve_device(device)
    _check(options, target)
    with one_fit(description):
        paths = next_run_paths(description)
        saved = options.devices > 1 or paths.checkpoint is not None
        training = TrainingState(objective, generator, observer_of(callback, description) if saved else None, [])
        run = _Run(samples, schedule, sampling, extras, callback, verbose > 0, description, options, target, paths, {})
        state = None
        if paths.checkpoint is not None:
            run = replace(run, fingerprint=fingerprint(training, samples, (sampling, *extras), run.settings()))
            state = load_state(paths.checkpoint, run.fingerprint)
        if state is not None and len(state["history"]) == schedule.epochs:
            training.load_state_dict(state)
        elif options.devices > 1:
            _train_in_processes(run, training)
        else:
            _Trainer(_fabric(run), run, training).train(state)
    objective.eval()
    return training.history


def _check(options: TrainingOptions, device: torch.device) -> None:
    """Raise if this device does not support the options."""
    if options.mixed_precision == "16-mixed" and device.type != "cuda":
        raise LongwayError(f"mixed_precision='16-mixed' needs a GPU, and this is {device.type}: use 'bf16-mixed'")
    if options.devices > 1 and device.index is not None:
        raise LongwayError(f"device='{device}' is one device, devices={options.devices} are more: use 'cuda' or 'cpu'")
    if device.type == "cuda" and options.devices > (found := torch.cuda.device_count()):
        raise LongwayError(f"devices={options.devices} is more than the {found} GPUs of this machine")


@dataclass(frozen=True)
class _Run:
    """The constant inputs of a training run."""

    samples: Samples
    schedule: Schedule
    sampling: np.ndarray | None
    extras: Sequence[np.ndarray]
    callback: Callable[[int], dict[str, float]] | None
    show: bool
    description: str
    options: TrainingOptions
    device: torch.device
    paths: RunPaths
    fingerprint: Mapping[str, str]
    seed: int = 0
    """Base of the random seeds of several processes."""

    def settings(self) -> dict[str, Any]:
        """Return the settings that determine the result."""
        options = {name: getattr(self.options, name) for name in ("mixed_precision", "clip", "devices", "compile")}
        return {**asdict(self.schedule), **options, "device": self.device.type, "run": self.description}


def _fabric(run: _Run) -> Fabric:
    from longway.training.launch import make_fabric  # linear heads need not import Fabric

    return make_fabric(run.options, run.device)


class _Trainer:
    """A training run in one process, which may be one of several."""

    def __init__(self, fabric: Fabric, run: _Run, training: TrainingState) -> None:
        self.fabric, self.run, self.training = fabric, run, training
        schedule, objective = run.schedule, training.objective
        optimizer = make_optimizer(
            schedule.optimizer,
            objective.parameters(),
            learning_rate=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            momentum=schedule.momentum,
        )
        if run.options.compile and fabric.device.type == "cuda":
            objective = cast(nn.Module, torch.compile(objective))
        self.model, self.optimizer = fabric.setup(objective, optimizer)
        training.optimizer, training.scaler = optimizer, fabric.strategy.precision
        if schedule.averaging:
            training.average = WeightAverage(training.objective, schedule.averaging)
        self.batches = _Batches(run.samples, fabric.device, run.extras)

    def train(self, state: State | None) -> None:
        """Train to the last epoch, from the first one or from ``state``."""
        if state is not None:
            self.training.load_state_dict(state)
        run, history = self.run, self.training.history
        options, is_first = run.options, self.fabric.is_global_zero
        with (
            progress(run.description, run.schedule.epochs, show=run.show and is_first) as advance,
            logging_to(options.log if is_first else None, options.tracker, run.paths.name) as log,
        ):
            for record in history:
                log(record)
                advance()
            for epoch in range(len(history) + 1, run.schedule.epochs + 1):
                record = self._epoch(epoch)
                is_last = epoch == run.schedule.epochs
                with self._averaged(for_good=is_last):
                    history.append(record | (run.callback(epoch) if run.callback else {}))
                log(history[-1])
                # The last state is always saved, so that a finished run is not repeated when its fit resumes.
                due = epoch % options.checkpoint_every == 0 or is_last
                if due and is_first and run.paths.checkpoint is not None:
                    save_state(run.paths.checkpoint, run.fingerprint, self.training.state_dict())
                advance(f"loss {record['loss']:.3g}")

    def _averaged(self, *, for_good: bool) -> AbstractContextManager[None]:
        """Give the networks their averaged weights, if any: permanently, or while the body runs."""
        average = self.training.average
        if average is None:
            return nullcontext()
        if for_good:
            average.swap()
            return nullcontext()
        return average.in_place()

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Train for one epoch; return its number and the mean of each loss term."""
        fabric, run, world = self.fabric, self.run, self.fabric.world_size
        if world > 1:  # random numbers must differ between processes, and be the same after resuming
            torch.manual_seed(run.seed + epoch * world + fabric.global_rank)
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = run.schedule.rate(epoch)
        order = _order(len(run.samples), run.sampling, self.training.generator)
        bounds = _bounds(len(order), run.schedule.batch_size, 2 * world)
        terms = _LossTerms(fabric, epoch, len(bounds), run.schedule.learning_rate)
        for (start, stop), batch in zip(bounds, self.batches.iterate(order, bounds, fabric), strict=True):
            values = self.model(*batch)
            # DDP averages the processes' gradients with equal weights; this restores the mean over samples.
            scale = len(batch[0]) * world / (stop - start)
            # Multiplying by 1 would change nothing but cost a kernel launch.
            loss = values["loss"] if scale == 1 else values["loss"] * scale
            self.optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            if run.options.clip is not None:
                fabric.clip_gradients(self.model, self.optimizer, max_norm=run.options.clip, error_if_nonfinite=False)
            self.optimizer.step()
            if self.training.average is not None:
                self.training.average.update()
            terms.add(values, len(batch[0]))
        return {"epoch": epoch} | terms.means(len(order))


class _LossTerms:
    """Sums of the loss terms over an epoch's samples, with a check that the loss is finite."""

    def __init__(self, fabric: Fabric, epoch: int, steps: int, learning_rate: float) -> None:
        self.fabric, self.epoch, self.steps, self.learning_rate = fabric, epoch, steps, learning_rate
        self.names: list[str] = []
        self.sums = torch.zeros(())
        self.done, self.recent = 0, list[Tensor]()

    def add(self, terms: Mapping[str, Tensor], n: int) -> None:
        """Add the terms of a batch, means over n samples."""
        # Sums stay on the device; reading them each step would wait for the GPU.
        values = torch.stack([value.detach() for value in terms.values()])
        self.sums = values * n + self.sums if self.names else values * n
        self.names = list(terms)
        self.recent.append(values)
        self.done += 1
        if self.done % CHECK_EVERY == 0:
            self._check()

    def means(self, n: int) -> dict[str, float]:
        """Return the means over the epoch's n samples."""
        sums = self._check()
        return {name: value / n for name, value in zip(self.names, sums, strict=True)}

    def _check(self) -> list[float]:
        """Return the sums over all processes; raise if the loss is not finite, because training cannot recover."""
        sums = self._over_processes(self.sums).tolist()
        loss = self.names.index("loss")
        if not math.isfinite(sums[loss]):
            recent = self._over_processes(torch.stack(self.recent)).cpu()
            bad = ~recent.isfinite()
            # The first bad step since the last check; argmax gives 0 if only the sum overflowed.
            row = int(bad[:, loss].int().argmax())
            parts = [name for name, is_bad in zip(self.names, bad[row], strict=True) if is_bad and name != "loss"]
            where = f"step {self.done - len(recent) + row + 1} of {self.steps}" + "".join(f", {part}" for part in parts)
            raise LongwayError(
                f"the loss became {float(recent[row, loss])} in epoch {self.epoch}: lower learning_rate (now "
                f"{self.learning_rate:g}), scale the inputs or clip gradients with training_options(clip=1); it began "
                f"at {where}"
            )
        self.recent.clear()
        return sums

    def _over_processes(self, values: Tensor) -> Tensor:
        return cast(Tensor, self.fabric.all_reduce(values.clone(), reduce_op="sum"))


def _train_in_one(run: _Run, training: TrainingState, fabric: Fabric) -> None:
    """Train in one of several processes; the first one saves the state."""
    assert run.paths.checkpoint is not None
    _Trainer(fabric, run, training).train(load_state(run.paths.checkpoint, run.fingerprint))


def _train_in_processes(run: _Run, training: TrainingState) -> None:
    """Train in one process per device, and load the final state."""
    from longway.training.launch import launch

    smallest = min(run.schedule.batch_size, len(run.samples))
    if smallest < 2 * run.options.devices:
        raise LongwayError(f"devices={run.options.devices} cannot share batches of {smallest}: raise batch_size")
    with tempfile.TemporaryDirectory() as scratch:
        file = run.paths.checkpoint or Path(scratch) / "run.safetensors"
        seed = int(torch.randint(2**31 - 1, ()))
        run = replace(run, paths=replace(run.paths, checkpoint=file), seed=seed)
        launch(_fabric(run), partial(_train_in_one, run, training), training.objective)
        state = load_state(file, run.fingerprint)
    assert state is not None
    training.load_state_dict(state)


def _order(n: int, sampling: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
    """Return the positions of an epoch's samples, in order."""
    if sampling is None:
        return generator.permutation(n)
    # With replacement: rare samples must be able to appear more than once per epoch.
    return generator.choice(n, n, p=sampling / sampling.sum())


def _bounds(n: int, size: int, min_size: int) -> list[tuple[int, int]]:
    """Divide an epoch into batches; a last one below ``min_size`` joins its neighbour, as batch norm needs two."""
    starts = list(range(0, n, size))
    if len(starts) > 1 and n - starts[-1] < min_size:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


class _Batches:
    """Source of batches: a copy of small data on the device, else the file."""

    def __init__(self, samples: Samples, device: torch.device, extras: Sequence[np.ndarray]) -> None:
        self.samples, self.device = samples, device
        self.resident = samples.inputs(slice(None)).to(device) if samples.is_small else None
        # Mean 1, so that the learning rate does not depend on the scale of the weights.
        weight = torch.from_numpy(samples.weight / samples.weight.mean()).float()
        others = [torch.from_numpy(samples.y), weight, *map(torch.from_numpy, extras)]
        self.others = [values.to(device) for values in others]

    def iterate(
        self, order: np.ndarray, bounds: Sequence[tuple[int, int]], fabric: Fabric
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield inputs, labels, weights (mean 1 over all samples) and extras of each batch.

        Each of several processes gets an interleaved part of the batch.
        """
        rank, world = fabric.global_rank, fabric.world_size
        on_device = torch.from_numpy(order).to(self.device)  # copied once, so that no step waits for it
        for start, stop in bounds:
            part = slice(start + rank, stop, world)
            where = on_device[part]
            x = self.samples.inputs(order[part]).to(self.device) if self.resident is None else self.resident[where]
            yield x, *(values[where] for values in self.others)
