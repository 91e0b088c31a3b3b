"""How many threads libraries use, and that those of one do not wait in the way of another's."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Run the body with this number of threads: sums are rounded otherwise with another, and workers must not fight."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with _controller(len(sys.modules)).limit(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)


class _Shared:
    """A limit on linear algebra that fits side by side in threads hold together: the last to leave lifts it."""

    def __init__(self) -> None:
        self._lock, self._held, self._limit = threading.Lock(), 0, ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the limit while the body runs."""
        with self._lock:
            if self._held == 0:
                self._limit.enter_context(_controller(len(sys.modules)).limit(limits=1, user_api="blas"))
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1
                if self._held == 0:
                    self._limit.close()


one_blas_thread = _Shared()
"""Run the body with one thread for the linear algebra of NumPy and SciPy; torch keeps its own.

Threads of a library wait for work by spinning a while. Where short products of torch and of SciPy take turns, each
side's threads find the cores taken by the other's.
"""


@lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:
    """Return what sets the threads of all libraries, looked for again where modules may have brought new ones."""
    return ThreadpoolController()
