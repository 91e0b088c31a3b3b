"""Options of training runs: precision, devices, checkpoints, loggers."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from longway.utils.errors import LongwayError, nearest
from longway.utils.rules import COUNT, POSITIVE, Choice, OrNone, Rule, check_value

_RULES: dict[str, Rule] = {
    "mixed_precision": Choice(("32-true", "bf16-mixed", "16-mixed")),
    "clip": OrNone(POSITIVE),
    "devices": COUNT,
    "checkpoint_every": COUNT,
    "tracker": Choice(("tensorboard", "mlflow")),
}


@dataclass(frozen=True)
class TrainingOptions:
    """The options of every training run inside ``with longway.training_options(...)``.

    Parameters
    ----------
    mixed_precision : {"32-true", "bf16-mixed", "16-mixed"}, default "32-true"
        Precision of a network's computations; its weights and the loss stay in single precision. ``16-mixed`` needs a
        GPU.
    clip : float, optional
        Maximum norm of the gradients; larger ones are scaled down to it.
    devices : int, default 1
        Processes that share each batch, one per GPU; with ``device="cpu"``, all run on the CPU.
    compile : bool, default False
        Compile the training step on a GPU (``torch.compile``); on the CPU it never is.
    checkpoint : str or Path, optional
        Folder for the state of an unfinished fit. The same fit, run again with the same folder, resumes from there and
        gives the same result as without the interruption, bit for bit. The state is deleted when the fit ends.
    checkpoint_every : int, default 1
        Epochs between checkpoints.
    log : str or Path, optional
        Folder for training curves: the entries of ``history_``, written after each epoch.
    tracker : {"tensorboard", "mlflow"}, default "tensorboard"
        Format of the curves.

    Raises
    ------
    LongwayError
        If a value is invalid.
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
        for name, rule in _RULES.items():
            check_value(name, getattr(self, name), rule)
        for name in ("checkpoint", "log"):
            folder = getattr(self, name)
            if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
                raise LongwayError(f"{name}='{folder}' is a file: choose a folder")


@dataclass(frozen=True)
class RunPaths:
    """Name and checkpoint file of one training run.

    Parameters
    ----------
    name : str
        ``"FIT/RUN"``: number and name of the fit, then of the run.
    checkpoint : Path, optional
    """

    name: str
    checkpoint: Path | None


@dataclass
class _Fit:
    """A fit in progress; its training runs are numbered, because some methods train more than once."""

    number: int
    name: str
    runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))


@dataclass
class _Session:
    """The options, and a counter of the fits since they were set."""

    options: TrainingOptions
    fits: Iterator[int] = field(default_factory=lambda: itertools.count(1))


_DEFAULT_SESSION = _Session(TrainingOptions())
_SESSION: ContextVar[_Session | None] = ContextVar("session", default=None)
_FIT: ContextVar[_Fit | None] = ContextVar("fit", default=None)


@contextmanager
def training_options(**changes: Any) -> Iterator[TrainingOptions]:
    """Set the options of training runs while the body runs, in this process and thread.

    Parameters
    ----------
    **changes
        Fields of `TrainingOptions`; other fields keep the value of the surrounding context.

    Yields
    ------
    TrainingOptions

    Raises
    ------
    LongwayError
        If an option is unknown or its value is invalid.

    Examples
    --------
    >>> with training_options(clip=1.0):
    ...     with training_options(mixed_precision="bf16-mixed") as options:
    ...         print(options.clip, options.mixed_precision)
    1.0 bf16-mixed
    """
    names = [option.name for option in fields(TrainingOptions)]
    for name in changes:
        if name not in names:
            raise LongwayError(f"training_options has no {name!r}; {nearest(name, names)}")
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
    return _SESSION.get() or _DEFAULT_SESSION


@contextmanager
def one_fit(name: str) -> Iterator[None]:
    """Count the training runs in the body as parts of one fit; a nested fit belongs to the outer one.

    The fit's checkpoints are deleted when the body ends without an error.
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
        with suppress(OSError):  # the folder holds other files
            root.rmdir()


def next_run_paths(description: str) -> RunPaths:
    """Return the paths of the next training run of the current fit."""
    fit, root = _FIT.get(), current_options().checkpoint
    assert fit is not None, "train() runs inside one_fit()"
    run = next(fit.runs)
    file = None if root is None else Path(root) / f"fit-{fit.number}" / f"run-{run}.safetensors"
    return RunPaths(f"{fit.number} {fit.name}/{run} {description}", file)
