"""Sharing GPUs among the workers of one machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from longway.bench.spec import TrialSpec
from longway.utils.errors import LongwayError


@contextmanager
def device_for(spec: TrialSpec, share: float) -> Iterator[None]:
    """Make "cuda" refer to a GPU with room for a trial that needs this fraction of one; wait for it if necessary."""
    if spec.device != "cuda" or not torch.cuda.is_available():
        yield
        return
    with slot(torch.cuda.device_count(), share) as gpu, torch.cuda.device(gpu):
        yield


@contextmanager
def slot(gpus: int, share: float, folder: Path | None = None) -> Iterator[int]:
    """Hold one of the slots of the GPUs for trials of this size; yield the GPU's number.

    A place is a lock on a file of this machine, so that it is free again when its holder ends, however it ends.

    Parameters
    ----------
    gpus : int
        How many there are.
    share : float
        Part of a GPU that a trial takes: 0.25 puts four on each.
    folder : Path, optional
        Where the locks are; one place for the machine if not given.
    """
    folder = folder or Path(tempfile.gettempdir()) / "longway-gpu-slots"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for place in range(places(share)):  # the first place of each GPU before the second of any
            for gpu in range(gpus):
                lock = FileLock(folder / f"{gpu}-{place}.lock")
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                try:
                    yield gpu
                finally:
                    lock.release()
                return
        time.sleep(0.05)


def places(share: float) -> int:
    """Return the number of trials of this size that fit on one GPU.

    Raises
    ------
    LongwayError
        The share is not above 0 and at most 1.

    Examples
    --------
    >>> places(0.25), places(0.3), places(1)
    (4, 3, 1)
    """
    if not 0 < share <= 1:
        raise LongwayError(f"gpu_share={share} must be above 0 and at most 1")
    return int(1 / share + 1e-9)
