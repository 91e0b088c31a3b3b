"""Speed of HSFM's published algorithm beside the same algorithm with plain unrolled autograd, on published shapes.

Run with ``python -m benchmarks.hsfm_speed [waterbirds|celeba]``; all times come from one run, with one thread, in
seconds of the processor, features in memory. Writes results/hsfm_speed.json. The reference is the algorithm as one
would write it with a graph through the T inner steps; both score the worst group in each epoch, and the first head is
given to both.

Both are exact, so their heads differ by rounding. How far that carries is measured beside a twin: the reference once
more, from a support whose entries are off by one part in ten million.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longway import HSFM, evaluate_groups

RESULTS = Path(__file__).resolve().parents[1] / "results" / "hsfm_speed.json"
FEATURES = 2048
SHAPES = {"waterbirds": (4795, 1199), "celeba": (4096, 19867)}
"""Training rows (as many as the support is drawn from needs) and validation rows."""
ROUNDS = {"waterbirds": 5, "celeba": 1}
EPOCHS = {"waterbirds": (1, 2, 4, 8, 16, 40), "celeba": (1, 2)}
"""After how many epochs heads are compared."""
OFF = 1e-7

Data = tuple[np.ndarray, np.ndarray, np.ndarray]
Pair = tuple[Tensor, Tensor]
"""Weight and bias."""


def draw(n: int, seed: int) -> Data:
    """Draw rectified features with a core and a shortcut, labels and groups."""
    rng = np.random.default_rng(seed)
    y, shortcut = rng.integers(0, 2, n), rng.integers(0, 2, n)
    X = rng.normal(size=(n, FEATURES)).astype(np.float32)
    X[:, :64] += 0.25 * (2 * y - 1)[:, None]
    X[:, 64:128] += 0.5 * (2 * shortcut - 1)[:, None]
    return np.maximum(X, 0), y, 2 * y + shortcut


def reference(head: Pair, support: Tensor, labels: Tensor, val: Data, p: dict[str, Any]) -> list[Pair]:
    """Return the head of each epoch of the published algorithm, with a graph through the inner descent."""
    X, y, groups = torch.from_numpy(val[0]), torch.from_numpy(val[1]), val[2]
    support = support.clone().requires_grad_()
    theta = [part.clone().requires_grad_() for part in head]
    edit, step = torch.optim.Adam([support], lr=p["outer_rate"]), torch.optim.Adam(theta, lr=p["inner_rate"])
    found: list[Pair] = []
    scores = []
    for _ in range(p["epochs"]):
        with torch.no_grad():
            losses = cross_entropy(X @ theta[0].T + theta[1], y, reduction="none")
        ranked = losses.argsort(descending=True)
        hard = torch.cat([ranked[y[ranked] == c][: p["n_hard"]] for c in (0, 1)])
        for _ in range(p["outer_steps"]):
            W, b = (part.detach().clone().requires_grad_() for part in theta)
            for _ in range(p["inner_steps"]):
                gW, gb = torch.autograd.grad(cross_entropy(support @ W.T + b, labels), (W, b), create_graph=True)
                W, b = W - p["inner_rate"] * gW, b - p["inner_rate"] * gb
            edit.zero_grad()
            cross_entropy(X[hard] @ W.T + b, y[hard]).backward()
            torch.nn.utils.clip_grad_norm_([support], 10)
            edit.step()
        for _ in range(p["inner_steps"]):
            step.zero_grad()
            cross_entropy(support.detach() @ theta[0].T + theta[1], labels).backward()
            step.step()
        with torch.no_grad():
            predicted = (X @ theta[0].T + theta[1]).argmax(1).numpy()
        scores.append(evaluate_groups(val[1], predicted, groups).worst_group_accuracy)  # what an epoch is chosen by
        found.append((theta[0].detach().clone(), theta[1].detach().clone()))
    return found


def start(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the first head."""
    weight = 0.01 * np.random.default_rng(2).normal(size=(2, FEATURES)).astype(np.float32)
    return weight.astype(dtype), np.zeros(2, dtype)


def fit(setting: str, data: Data, val: Data, **changes: Any) -> HSFM:
    """Return Longway's published variant, fitted."""
    method = HSFM.from_paper(setting, head=start(data[0].dtype), device="cpu", **changes)
    return method.fit(data[0], data[1], eval_set=val)


def given(method: HSFM, dtype: Any) -> tuple[Pair, Tensor, Tensor]:
    """Return what the reference starts from: head, support and labels."""
    weight, bias = map(torch.from_numpy, start(dtype))
    support = torch.from_numpy(method.support_before_.astype(dtype))
    return (weight, bias), support, torch.from_numpy(method.support_labels_)


def distance(one: Pair, other: Pair) -> float:
    """Return the largest difference of two heads' entries."""
    return max(float((a.double() - b.double()).abs().max()) for a, b in zip(one, other, strict=True))


def agreement(setting: str, data: Data, val: Data) -> dict[str, list[float]]:
    """Return how far Longway's head is from the reference's of the same epoch, and the reference's twin from it."""
    dtype = data[0].dtype
    first = fit(setting, data, val, epochs=1)
    head, support, labels = given(first, dtype)
    p = first.get_params() | {"epochs": max(EPOCHS[setting])}
    off = 1 + OFF * torch.from_numpy(np.random.default_rng(3).normal(size=support.shape))
    plain = reference(head, support, labels, val, p)
    twin = reference(head, (support * off).to(support), labels, val, p)
    record: dict[str, list[float]] = {"epoch": [], "longway": [], "twin": []}
    for epochs in EPOCHS[setting]:
        method = fit(setting, data, val, epochs=epochs)
        linear: Any = method.module_.linear
        epoch = method.selection_["epoch"]  # of the head that is kept
        record["epoch"].append(epoch)
        record["longway"].append(distance((linear.weight.detach(), linear.bias.detach()), plain[epoch - 1]))
        record["twin"].append(distance(twin[epoch - 1], plain[epoch - 1]))
    return record


def timed(setting: str, data: Data, val: Data) -> tuple[float, float]:
    """Return the seconds of Longway and of the reference."""
    began = time.process_time()
    method = fit(setting, data, val)
    ours = time.process_time() - began
    initial = given(method, data[0].dtype)
    began = time.process_time()
    reference(*initial, val, method.get_params())
    return ours, time.process_time() - began


def compare(setting: str) -> dict[str, Any]:
    """Return the seconds of both, their ratio, and how far heads are apart in single and in double precision."""
    n_train, n_val = SHAPES[setting]
    data, val = draw(n_train, 0), draw(n_val, 1)
    apart = {"single": agreement(setting, data, val)}  # also warms up
    runs = [timed(setting, data, val) for _ in range(ROUNDS[setting])]
    wide = [(X.astype(np.float64), *known) for X, *known in (data, val)]
    apart["double"] = agreement(setting, *wide)
    ours, theirs = (min(seconds) for seconds in zip(*runs, strict=True))
    return {
        "longway_s": ours,
        "reference_s": theirs,
        "ratio": theirs / ours,
        "rounds": ROUNDS[setting],
        "apart": apart,
    }


def run(chosen: list[str] | None = None) -> dict[str, Any]:
    """Compare on the chosen shapes, all if none is named, with one thread."""
    torch.set_num_threads(1)
    return {setting: compare(setting) for setting in chosen or SHAPES}


if __name__ == "__main__":
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known |= run(sys.argv[1:])
    RESULTS.write_text(json.dumps(known, indent=2) + "\n")
    print(json.dumps(known, indent=2))
