"""Limits on the threads of libraries, so that those of one do not wait for another's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Run the body with this number of threads: rounding depends on it, and workers must not fight over cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with _controller(len(sys.modules)).limit(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run the body with one thread for the linear algebra of NumPy and SciPy; torch keeps its own setting.

    Threads of a library wait for work by spinning a while. Where short products of torch and of SciPy take turns, each
    side's threads find the cores taken by the other's.
    """
    with _controller(len(sys.modules)).limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:
    """Return the controller of all libraries' threads, refreshed if modules may have loaded new ones."""
    return ThreadpoolController()
