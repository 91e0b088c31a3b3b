"""A grid of 64 settings of AFR solved as one batched problem, beside 64 fits of one setting each.

Features, labels and groups are those of ``benchmarks.dfr``, shaped like Waterbirds; one thread, seconds of the
processor. With ``own`` first heads, each fit finds the head that AFR starts from, so one after another it is found 64
times; with a ``given`` one, no fit has to, and what is left is the solver.
"""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.dfr import Part, features
from longway import AFR
from longway.data.samples import Samples
from longway.linear.fit import fit_linear

GAMMAS = tuple(np.linspace(0, 14, 8).tolist())
PULLS = tuple(np.logspace(-3, 0.5, 8).tolist())

Head = tuple[np.ndarray, np.ndarray]


def timed(data: dict[str, Part], gammas: tuple[float, ...], l2_to_init: tuple[float, ...], head: Head | None) -> Any:
    """Return a fitted AFR and the seconds that it took."""
    X, y, _ = data["train"]
    began = time.process_time()
    method = AFR(gammas=gammas, l2_to_init=l2_to_init, head=head, device="cpu").fit(X, y, eval_set=data["val"])
    return method, time.process_time() - began


def first_head(data: dict[str, Part]) -> Head:
    """Return a head fitted to the training features."""
    X, y, _ = data["train"]
    layer = fit_linear(Samples(X, y, np.ones(len(y))), 2, 1e-2).folded(torch.float64)
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def compare(data: dict[str, Part], head: Head | None) -> dict[str, float]:
    """Return the seconds of both ways, and how far apart their answers are."""
    timed(data, GAMMAS[:1], PULLS[:1], head)  # warm up
    batch, together = timed(data, GAMMAS, PULLS, head)
    scores, seconds, apart = [], 0.0, 0.0
    chosen = batch.selection_["epoch"] - 1
    for i, (gamma, pull) in enumerate(product(GAMMAS, PULLS)):
        single, spent = timed(data, (gamma,), (pull,), head)
        seconds += spent
        scores.append(abs(single.history_[0]["val_worst_group"] - batch.history_[i]["val_worst_group"]))
        if i == chosen:
            pairs = zip(single.module_.linear.parameters(), batch.module_.linear.parameters(), strict=True)
            apart = max(float((one - other).detach().abs().max()) for one, other in pairs)
    return {
        "together_s": together,
        "one_by_one_s": seconds,
        "ratio": seconds / together,
        "largest_score_difference": max(scores),
        "chosen_head_difference": apart,
    }


def run() -> dict[str, Any]:
    """Compare with a first head of each fit's own and with a given one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            data = features(0)
            heads = {"own": None, "given": first_head(data)}
            found = {name: compare(data, head) for name, head in heads.items()}
    finally:
        torch.set_num_threads(threads)
    return {"settings": len(GAMMAS) * len(PULLS), **found}
