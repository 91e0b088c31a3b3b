"""Trials that behave badly, where worker processes can import them."""

import os
import signal
import time

from longway.bench.spec import FORMAT, TrialSpec
from longway.bench.store import Store


def well_behaved(spec: TrialSpec, store: Store) -> str:
    """Leave a record."""
    with store.claim(spec):
        store.write("trials", spec.key, {"format": FORMAT, "status": "done", "pid": os.getpid()})
    return "done"


def deadly(spec: TrialSpec, store: Store) -> str:
    """Kill the worker on seed 3, as the operating system does when memory runs out."""
    if spec.seed == 3:
        with store.claim(spec):
            os.kill(os.getpid(), signal.SIGKILL)
    return well_behaved(spec, store)


def full_disk(spec: TrialSpec, store: Store) -> str:
    """Find no room for the record."""
    raise OSError(28, "No space left on device")


def count_threads(spec: TrialSpec, store: Store) -> str:
    """Say how many threads a trial has."""
    import torch

    from longway.utils.threads import limited_threads

    with limited_threads(spec.threads):
        return str(torch.get_num_threads())


def slow(spec: TrialSpec, store: Store) -> str:
    """Take a while."""
    with store.claim(spec):
        time.sleep(0.5)
        store.write("trials", spec.key, {"format": FORMAT, "status": "done"})
    return "done"
