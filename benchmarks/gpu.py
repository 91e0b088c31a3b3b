"""Time of SITAR's published CMNIST run on one GPU: the data on it, the step compiled, 100 epochs.

Run as ``python -m benchmarks gpu`` with ``LONGWAY_DATA`` set. Seconds are the wall's, from the call of ``fit`` to its
return, with the compiling and the validation after each epoch; the same run without compiling stands beside it. Where
there is no GPU nothing is measured, and an earlier figure stays.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from longway import SITAR, training_options
from longway.datasets import CMNIST

EPOCHS, IMAGES = 100, 50_000


def run(device: str = "cuda", epochs: int = EPOCHS, images: int = IMAGES) -> dict[str, Any] | None:
    """Measure; None without a GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        return None
    data = CMNIST(n_train=images).build(0)
    train, val = ((np.asarray(part.X), np.asarray(part.y)) for part in (data["train"], data["val"]))
    record: dict[str, Any] = {"epochs": epochs, "images": len(train[0]), "size": train[0].shape[-1], "seconds": {}}
    for name, compiled in (("eager", False), ("compiled", True)):
        method = SITAR.from_paper("cmnist", epochs=epochs, device=device)
        start = time.perf_counter()
        with training_options(compile=compiled):
            method.fit(*train, eval_set=val)
        record["seconds"][name] = time.perf_counter() - start
    if device == "cuda":
        record |= {"device": torch.cuda.get_device_name(), "peak_gb": torch.cuda.max_memory_allocated() / 1e9}
    return record
