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
def own_torch_state() -> Iterator[None]:
    """Run the body with torch's own defaults, whatever the caller has set: float32, and gradients recorded."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run the body with torch seeded and in its own state, and leave its generators as they were."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with own_torch_state(), torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
