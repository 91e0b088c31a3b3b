"""One-time set-up of a worker process, so that its trials cost only their arithmetic."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from functools import cache
from multiprocessing import parent_process

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Constants from glibc's ``malloc.h``."""
KEPT = 2**25
"""Size up to which freed blocks stay with the process, the most that glibc allows."""
POLL_SECONDS = 0.5


def end_with_parent() -> None:
    """Start a thread that ends this worker when the process that started it has ended, by whatever means.

    Linux's ``PR_SET_PDEATHSIG`` would not do: it is sent when the thread that started the worker ends.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        if os.name == "nt":
            parent.join()
        while os.name != "nt" and os.getppid() == parent.pid:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="longway-parent", daemon=True).start()


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
