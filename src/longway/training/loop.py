"""The training loop of everything that takes gradient steps over batches.

What is trained is the caller's; how it is carried out (precision, devices, checkpoints, curves) is set by
``longway.training_options`` around the call.
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
from longway.training.checkpoint import State, Training, fingerprint, load_state, observer_of, save_state
from longway.training.loggers import logging_to
from longway.training.options import RunPaths, TrainingOptions, current_options, next_run_paths, one_fit
from longway.training.weight_average import WeightAverage
from longway.utils.device import resolve_device
from longway.utils.errors import LongwayError
from longway.utils.progress import progress

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CHECK_EVERY = 50
"""Steps between checks of the loss; on a GPU, a check waits for all previous steps."""


@dataclass(frozen=True)
class Schedule:
    """Length and speed of training: Adam with decoupled weight decay on shuffled batches.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    batch_size : int
        Samples a step.
    learning_rate : float
    weight_decay : float, default 0
    averaging : float, default 0
        The weights that ``callback`` sees, and those at the end, are averaged over this share of the steps so far;
        with 0 they are what the last step left.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    averaging: float = 0.0


def train(
    objective: nn.Module,
    rows: Samples,
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
        ``objective(x, y, weight, *beside)`` returns a dict of scalar tensors of which ``loss`` is minimised; all are
        recorded. Whatever it learns beside its networks' weights must be in buffers. What it computes over the batch as
        a whole, it should compute from ``longway.training.distributed.gathered`` values.
    rows : Samples
        Training data.
    schedule : Schedule
    generator : numpy Generator
        Draws the batches.
    device : str, default "auto"
    sampling : ndarray of shape (n,), optional
        Draw n samples an epoch with replacement, in proportion to these; without it, each sample once.
    extras : sequence of ndarray of shape (n, ...), optional
        What else the objective is to be told of each sample, such as its group or its own number.
    callback : callable, optional
        Called with the epoch's number; what it returns joins the record. A method of a ``checkpoint.Observer``, or else
        neither checkpoints nor several devices can be had.
    verbose : int, default 0
        1 shows a progress bar.
    description : str
        Its words.

    Returns
    -------
    list of dict
        One record an epoch: its number, the mean of each loss term, and what ``callback`` returned.

    Raises
    ------
    LongwayError
        If the loss is not a finite number, which is looked at every ``CHECK_EVERY`` steps; if a checkpoint is of
        another run; if the options in force cannot be had on this device.
    """
    options, target = current_options(), resolve_device(device)
    _check(options, target)
    with one_fit(description):
        place = next_run_paths(description)
        kept = options.devices > 1 or place.checkpoint is not None
        training = Training(objective, generator, observer_of(callback, description) if kept else None, [])
        job = _Job(rows, schedule, sampling, extras, callback, verbose > 0, description, options, target, place, {})
        state = None
        if place.checkpoint is not None:
            job = replace(job, marks=fingerprint(training, rows, (sampling, *extras), job.settings()))
            state = load_state(place.checkpoint, job.marks)
        if state is not None and len(state["history"]) == schedule.epochs:
            training.restore(state)
        elif options.devices > 1:
            _in_processes(job, training)
        else:
            _Loop(_fabric(job), job, training).run(state)
    objective.eval()
    return training.history


def _check(options: TrainingOptions, device: torch.device) -> None:
    """Raise if this device cannot carry out the options."""
    if options.mixed_precision == "16-mixed" and device.type != "cuda":
        raise LongwayError(f"mixed_precision='16-mixed' needs a GPU, and this is {device.type}: use 'bf16-mixed'")
    if options.devices > 1 and device.index is not None:
        raise LongwayError(f"device='{device}' is one device, devices={options.devices} are more: use 'cuda' or 'cpu'")
    if device.type == "cuda" and options.devices > (found := torch.cuda.device_count()):
        raise LongwayError(f"devices={options.devices} is more than the {found} GPUs of this machine")


@dataclass(frozen=True)
class _Job:
    """The constant inputs of a training run."""

    rows: Samples
    schedule: Schedule
    sampling: np.ndarray | None
    extras: Sequence[np.ndarray]
    callback: Callable[[int], dict[str, float]] | None
    show: bool
    description: str
    options: TrainingOptions
    device: torch.device
    place: RunPaths
    marks: Mapping[str, str]
    seed: int = 0
    """Seed the random numbers of several processes: each draws its own in every epoch."""

    def settings(self) -> dict[str, Any]:
        """Return the settings that determine the result."""
        options = {name: getattr(self.options, name) for name in ("mixed_precision", "clip", "devices", "compile")}
        return {**asdict(self.schedule), **options, "device": self.device.type, "run": self.description}


def _fabric(job: _Job) -> Fabric:
    from longway.training.launch import make_fabric  # costs a second and 80 MB, which linear heads need not pay

    return make_fabric(job.options, job.device)


class _Loop:
    """A training run in one process, which may be one of several."""

    def __init__(self, fabric: Fabric, job: _Job, training: Training) -> None:
        self.fabric, self.job, self.training = fabric, job, training
        schedule, objective = job.schedule, training.objective
        # AdamW's decay is decoupled; a decay of 0 makes it Adam.
        optimizer = torch.optim.AdamW(
            objective.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        if job.options.compile and fabric.device.type == "cuda":
            objective = cast(nn.Module, torch.compile(objective))
        self.model, self.optimizer = fabric.setup(objective, optimizer)
        training.optimizer, training.scaler = optimizer, fabric.strategy.precision
        if schedule.averaging:
            training.average = WeightAverage(training.objective, schedule.averaging)
        self.batches = _Batches(job.rows, fabric.device, job.extras)

    def run(self, state: State | None) -> None:
        """Train to the last epoch, from the first or from ``state``."""
        if state is not None:
            self.training.restore(state)
        job, history = self.job, self.training.history
        options, first = job.options, self.fabric.is_global_zero
        with (
            progress(job.description, job.schedule.epochs, show=job.show and first) as advance,
            logging_to(options.log if first else None, options.tracker, job.place.name) as log,
        ):
            for record in history:
                log(record)
                advance()
            for epoch in range(len(history) + 1, job.schedule.epochs + 1):
                record = self._epoch(epoch)
                last = epoch == job.schedule.epochs
                with self._averaged(last):
                    history.append(record | (job.callback(epoch) if job.callback else {}))
                log(history[-1])
                # The last state is always saved, so that a finished run resumes at once.
                due = epoch % options.checkpoint_every == 0 or last
                if due and first and job.place.checkpoint is not None:
                    save_state(job.place.checkpoint, job.marks, self.training.state())
                advance(f"loss {record['loss']:.3g}")

    def _averaged(self, for_good: bool) -> AbstractContextManager[None]:
        """Give the networks their averaged weights, if any: while the body runs, or permanently."""
        average = self.training.average
        if average is None:
            return nullcontext()
        if for_good:
            average.swap()
            return nullcontext()
        return average.in_place()

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Train for one epoch; return its number and the mean of each loss term."""
        fabric, job, world = self.fabric, self.job, self.fabric.world_size
        if world > 1:  # noise must differ between processes, and be the same after a resumption
            torch.manual_seed(job.seed + epoch * world + fabric.global_rank)
        self.model.train()
        order = _order(len(job.rows), job.sampling, self.training.generator)
        bounds = _bounds(len(order), job.schedule.batch_size, 2 * world)
        terms = _Terms(fabric, epoch, len(bounds), job.schedule.learning_rate)
        for (start, stop), batch in zip(bounds, self.batches.of(order, bounds, fabric), strict=True):
            values = self.model(*batch)
            share = len(batch[0]) * world / (stop - start)  # processes' gradients are averaged, whatever their shares
            # Multiplying by 1 would change nothing but cost a kernel launch.
            loss = values["loss"] if share == 1 else values["loss"] * share
            self.optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            if job.options.clip is not None:
                fabric.clip_gradients(self.model, self.optimizer, max_norm=job.options.clip, error_if_nonfinite=False)
            self.optimizer.step()
            if self.training.average is not None:
                self.training.average.update()
            terms.add(values, len(batch[0]))
        return {"epoch": epoch} | terms.means(len(order))


class _Terms:
    """The loss terms of an epoch: sums over samples, and a check that they are finite."""

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
        """Return the sums over all processes; raise if the loss is not finite, as it cannot recover."""
        sums = self._over_processes(self.sums).tolist()
        loss = self.names.index("loss")
        if not math.isfinite(sums[loss]):
            recent = self._over_processes(torch.stack(self.recent)).cpu()
            bad = ~recent.isfinite()
            row = int(bad[:, loss].int().argmax())  # the sum itself may have overflowed: then the first
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


def _train_in_one(job: _Job, training: Training, fabric: Fabric) -> None:
    """Train in one of several processes; the first one saves the state."""
    assert job.place.checkpoint is not None
    _Loop(fabric, job, training).run(load_state(job.place.checkpoint, job.marks))


def _in_processes(job: _Job, training: Training) -> None:
    """Train in one process per device, and load the final state."""
    from longway.training.launch import launch

    smallest = job.schedule.batch_size if len(job.rows) > job.schedule.batch_size else len(job.rows)
    if smallest < 2 * job.options.devices:
        raise LongwayError(f"devices={job.options.devices} cannot share batches of {smallest}: raise batch_size")
    with tempfile.TemporaryDirectory() as scratch:
        file = job.place.checkpoint or Path(scratch) / "run.safetensors"
        seed = int(torch.randint(2**31 - 1, ()))
        job = replace(job, place=replace(job.place, checkpoint=file), seed=seed)
        launch(_fabric(job), partial(_train_in_one, job, training), training.objective)
        state = load_state(file, job.marks)
    assert state is not None
    training.restore(state)


def _order(n: int, sampling: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
    """Return the samples that an epoch visits, in order."""
    if sampling is None:
        return generator.permutation(n)
    # With replacement: rare samples must be able to appear more than once per epoch.
    return generator.choice(n, n, p=sampling / sampling.sum())


def _bounds(n: int, size: int, least: int) -> list[tuple[int, int]]:
    """Divide an epoch into batches; a last one of fewer than ``least`` joins its neighbour (batch norm needs two)."""
    starts = list(range(0, n, size))
    if len(starts) > 1 and n - starts[-1] < least:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


class _Batches:
    """Source of batches: a copy on the device if the data are small, else the file."""

    def __init__(self, rows: Samples, device: torch.device, extras: Sequence[np.ndarray]) -> None:
        self.rows, self.device = rows, device
        self.resident = rows.inputs(slice(None)).to(device) if rows.is_small else None
        # Mean 1, so that the learning rate does not depend on the scale of the weights.
        weight = torch.from_numpy(rows.weight / rows.weight.mean()).float()
        known = [torch.from_numpy(rows.y), weight, *map(torch.from_numpy, extras)]
        self.known = [values.to(device) for values in known]

    def of(self, order: np.ndarray, bounds: Sequence[tuple[int, int]], fabric: Fabric) -> Iterator[tuple[Tensor, ...]]:
        """Yield inputs, labels, weights (mean 1 over all samples) and extras of each batch.

        Of several processes, each gets an interleaved part of a batch.
        """
        rank, world = fabric.global_rank, fabric.world_size
        on_device = torch.from_numpy(order).to(self.device)  # once, so that no step waits for it
        for start, stop in bounds:
            part = slice(start + rank, stop, world)
            where = on_device[part]
            x = self.rows.inputs(order[part]).to(self.device) if self.resident is None else self.resident[where]
            yield x, *(values[where] for values in self.known)
