"""The device to compute on, and seeds that leave global state alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from longway.utils.errors import LongwayError


def resolve_device(device: str) -> torch.device:
    """Return the resolved device; ``auto`` is CUDA if available.

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
def seeded(seed: int) -> Iterator[None]:
    """Run the body with torch seeded, and leave the global state of its generators as it was."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
