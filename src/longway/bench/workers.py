"""One-time set-up of a worker process, so that its trials cost only their arithmetic."""

from __future__ import annotations

import ctypes
import gc
import os
from functools import cache
from multiprocessing import parent_process

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Constants from glibc's ``malloc.h``."""
KEPT = 2**25
"""Size up to which freed blocks stay with the process, the most that glibc allows."""


@cache
def settle() -> None:
    """Tune a worker's memory: exclude modules from garbage collection, and keep freed blocks for the next array.

    loky's workers collect garbage every second, which with torch's modules in sight takes a seventh of that second. And
    glibc gives each large array back to the system when it is freed: a solver that makes one in every step then
    spends a sixth of its time on page faults, which do not run in parallel. Does nothing in the user's own process.
    """
    if parent_process() is None:
        return
    gc.collect()
    gc.freeze()
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, 2**30)
