"""The one loop for everything that is trained by gradient steps over batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from longway.errors import LongwayError
from longway.progress import progress
from longway.rows import Rows


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train: Adam with decoupled weight decay on shuffled batches.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    batch_size : int
        Samples a step.
    learning_rate : float
    weight_decay : float, default 0
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0


def resolve_device(device: str) -> torch.device:
    """Return the device meant; ``auto`` is CUDA where there is one.

    Raises
    ------
    LongwayError
        If torch does not know the device or cannot reach it.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise LongwayError(f"device={device!r} cannot be used ({reason}); give 'auto', 'cpu' or 'cuda'") from error
    return torch.device(device)


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Run the body with this number of threads: sums are rounded otherwise with another, and workers must not fight."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run the body with torch seeded, and leave the global state of its generators as it was."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def train(
    objective: nn.Module,
    rows: Rows,
    schedule: Schedule,
    *,
    generator: np.random.Generator,
    device: str = "auto",
    sampling: np.ndarray | None = None,
    beside: Sequence[np.ndarray] = (),
    after_epoch: Callable[[int], dict[str, float]] | None = None,
    verbose: int = 0,
    description: str = "training",
) -> list[dict[str, float]]:
    """Train a module in place.

    Parameters
    ----------
    objective : nn.Module
        ``objective(x, y, weight, *beside)`` returns a dict of scalar tensors of which ``loss`` is minimised; all are
        recorded.
    rows : Rows
        Training data.
    schedule : Schedule
    generator : numpy Generator
        Draws the batches.
    device : str, default "auto"
    sampling : ndarray of shape (n,), optional
        Draw n samples an epoch with replacement, in proportion to these; without it, each sample once.
    beside : sequence of ndarray of shape (n, ...), optional
        What else the objective is to be told of each sample, such as its group or its own number.
    after_epoch : callable, optional
        Called with the epoch's number; what it returns joins the record.
    verbose : int, default 0
        1 shows a progress bar.
    description : str
        Its words.

    Returns
    -------
    list of dict
        One record an epoch: its number, the mean of each loss term, and what ``after_epoch`` returned.

    Raises
    ------
    LongwayError
        As soon as the loss is not a finite number.
    """
    from lightning_fabric import Fabric  # costs a second and 80 MB, which linear heads need not pay

    target = resolve_device(device)
    fabric = Fabric(accelerator=target.type, devices=1 if target.index is None else [target.index])
    optimizer = torch.optim.AdamW(objective.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    model, optimizer = fabric.setup(objective, optimizer)
    batches = _Batches(rows, target, beside)
    history: list[dict[str, float]] = []
    with progress(description, schedule.epochs, show=verbose > 0) as advance:
        for epoch in range(1, schedule.epochs + 1):
            model.train()
            totals: dict[str, Tensor] = {}
            order = _order(len(rows), sampling, generator)
            for chosen in _cut(order, schedule.batch_size):
                terms = model(*batches.at(chosen))
                optimizer.zero_grad(set_to_none=True)
                fabric.backward(terms["loss"])
                optimizer.step()
                for name, value in terms.items():
                    totals[name] = totals.get(name, 0) + value.detach() * len(chosen)
            record = {"epoch": epoch} | {name: float(total) / len(order) for name, total in totals.items()}
            if not math.isfinite(record["loss"]):
                raise LongwayError(
                    f"the loss became {record['loss']} in epoch {epoch}: lower learning_rate "
                    f"(now {schedule.learning_rate:g}) or scale the inputs"
                )
            history.append(record | (after_epoch(epoch) if after_epoch else {}))
            advance(f"loss {record['loss']:.3g}")
    objective.eval()
    return history


def _order(n: int, sampling: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
    """Return the rows that an epoch visits, in order."""
    if sampling is None:
        return generator.permutation(n)
    return generator.choice(n, n, p=sampling / sampling.sum())


def _cut(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut an epoch into batches; a last one of a single sample joins its neighbour (batch norm needs two)."""
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches


class _Batches:
    """Gathers batches: from a copy on the device where the data are small, else from the file."""

    def __init__(self, rows: Rows, device: torch.device, beside: Sequence[np.ndarray]) -> None:
        self.rows, self.device = rows, device
        self.resident = rows.inputs(slice(None)).to(device) if rows.is_small else None
        weight = torch.from_numpy(rows.weight / rows.weight.mean()).float()
        known = [torch.from_numpy(rows.y), weight, *map(torch.from_numpy, beside)]
        self.known = [values.to(device) for values in known]

    def at(self, chosen: np.ndarray) -> tuple[Tensor, ...]:
        """Return inputs, labels, weights (mean 1 over all rows), and what is beside, of the chosen rows."""
        where = torch.from_numpy(chosen).to(self.device)
        x = self.rows.inputs(chosen).to(self.device) if self.resident is None else self.resident[where]
        return x, *(values[where] for values in self.known)
