"""Options for the execution of training runs: precision, devices, checkpoints, loggers."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from longway.utils.errors import LongwayError, nearest

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
TRACKERS = ("tensorboard", "mlflow")


@dataclass(frozen=True)
class TrainingOptions:
    """The options of every training run inside ``with longway.training_options(...)``.

    Parameters
    ----------
    mixed_precision : {"32-true", "bf16-mixed", "16-mixed"}, default "32-true"
        Type of the numbers that a network computes in; its weights and the loss stay in single precision. ``16-mixed``
        needs a GPU.
    clip : float, optional
        Gradients whose norm is larger are shortened to it.
    devices : int, default 1
        Processes that share each batch, one a device; of ``device="cpu"``, processes on the CPU.
    compile : bool, default False
        Whether a GPU runs a compiled step (``torch.compile``); the CPU always runs a plain one.
    checkpoint : str or Path, optional
        Folder for the state of an unfinished fit. The same fit, begun again with it, goes on from there, and ends as it
        would have without the interruption, bit for bit. When a fit ends, its state goes.
    checkpoint_every : int, default 1
        Epochs from one checkpoint to the next.
    log : str or Path, optional
        Folder for curves: all that ``history_`` holds, as it comes.
    tracker : {"tensorboard", "mlflow"}, default "tensorboard"
        What the curves are written for.

    Raises
    ------
    LongwayError
        If a value cannot be used.
    """

    mixed_precision: str = "32-true"
    clip: float | None = None
    devices: int = 1
    compile: bool = False
    checkpoint: str | Path | None = None
    checkpoint_every: int = 1
    log: str | Path | None = None
    tracker: str = "tensorboard"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("mixed_precision", self.mixed_precision, PRECISIONS),
            ("tracker", self.tracker, TRACKERS),
        ):
            if value not in known:
                raise LongwayError(f"{name}={value!r} is unknown; {nearest(str(value), known)}")
        if self.clip is not None and not (_is_number(self.clip) and 0 < self.clip < math.inf):
            raise LongwayError(f"clip={self.clip!r} must be a number above 0")
        for name in ("devices", "checkpoint_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise LongwayError(f"{name}={value!r} must be a whole number, 1 or more")
        for name in ("checkpoint", "log"):
            folder = getattr(self, name)
            if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
                raise LongwayError(f"{name}='{folder}' is a file: choose a folder")


@dataclass(frozen=True)
class RunPaths:
    """The paths of one training run's files.

    Parameters
    ----------
    name : str
        Of its fit and of itself, each with its number.
    checkpoint : Path, optional
        File of its state.
    """

    name: str
    checkpoint: Path | None


@dataclass
class _Fit:
    """A fit in progress; its training runs are numbered, since some methods train twice."""

    number: int
    name: str
    runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))


@dataclass
class _Session:
    """The options, and the number of fits since they were set."""

    options: TrainingOptions
    fits: Iterator[int] = field(default_factory=lambda: itertools.count(1))


_PLAIN = _Session(TrainingOptions())
_SESSION: ContextVar[_Session | None] = ContextVar("session", default=None)
_FIT: ContextVar[_Fit | None] = ContextVar("fit", default=None)


@contextmanager
def training_options(**changes: Any) -> Iterator[TrainingOptions]:
    """Set the options of training runs while the body runs, in this process and thread.

    Parameters
    ----------
    **changes
        Fields of ``TrainingOptions``; those that are not named stay as they are around this.

    Yields
    ------
    TrainingOptions

    Raises
    ------
    LongwayError
        If an option is unknown or its value cannot be used.

    Examples
    --------
    >>> with training_options(clip=1.0):
    ...     with training_options(mixed_precision="bf16-mixed") as options:
    ...         print(options.clip, options.mixed_precision)
    1.0 bf16-mixed
    """
    known = [option.name for option in fields(TrainingOptions)]
    for name in changes:
        if name not in known:
            raise LongwayError(f"training_options has no {name!r}; {nearest(name, known)}")
    options = replace(current_options(), **changes)
    token = _SESSION.set(_Session(options))
    try:
        yield options
    finally:
        _SESSION.reset(token)


def current_options() -> TrainingOptions:
    """Return the options in force."""
    return _session().options


def _session() -> _Session:
    return _SESSION.get() or _PLAIN


@contextmanager
def one_fit(name: str) -> Iterator[None]:
    """Count the training runs in the body as parts of one fit; nested fits belong to the outer one.

    When the body ends without an error, the fit's checkpoints are deleted.
    """
    if _FIT.get() is not None:
        yield
        return
    session = _session()
    fit = _Fit(next(session.fits), name)
    token = _FIT.set(fit)
    try:
        yield
    finally:
        _FIT.reset(token)
    if session.options.checkpoint is not None:
        root = Path(session.options.checkpoint)
        shutil.rmtree(root / f"fit-{fit.number}", ignore_errors=True)
        with suppress(OSError):  # it holds something else
            root.rmdir()


def next_run_paths(description: str) -> RunPaths:
    """Return the paths of the next training run of the current fit."""
    fit, root = _FIT.get(), current_options().checkpoint
    assert fit is not None  # training enters a fit of its own where there is none
    run = next(fit.runs)
    file = None if root is None else Path(root) / f"fit-{fit.number}" / f"run-{run}.safetensors"
    return RunPaths(f"{fit.number} {fit.name}/{run} {description}", file)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
