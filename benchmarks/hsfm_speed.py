"""Speed of HSFM's published algorithm beside the same algorithm with plain unrolled autograd, on published shapes.

Run with ``python -m benchmarks.hsfm_speed [waterbirds|celeba]``; all times come from one run, with one thread, features
in memory. Writes results/hsfm_speed.json. The reference is the algorithm as one would write it with a graph through
the T inner steps; both select by the worst group in each epoch, and the first head is given to both.
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
ROUNDS = {"waterbirds": 3, "celeba": 2}

Data = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw(n: int, seed: int) -> Data:
    """Draw rectified features with a core and a shortcut, labels and groups."""
    rng = np.random.default_rng(seed)
    y, shortcut = rng.integers(0, 2, n), rng.integers(0, 2, n)
    X = rng.normal(size=(n, FEATURES)).astype(np.float32)
    X[:, :64] += 0.25 * (2 * y - 1)[:, None]
    X[:, 64:128] += 0.5 * (2 * shortcut - 1)[:, None]
    return np.maximum(X, 0), y, 2 * y + shortcut


def reference(
    head: tuple[Tensor, Tensor], support: Tensor, labels: Tensor, val: Data, p: dict[str, Any]
) -> list[Tensor]:
    """Return the best head of the published algorithm, with a graph through the inner descent."""
    X, y, groups = torch.from_numpy(val[0]), torch.from_numpy(val[1]), val[2]
    support = support.clone().requires_grad_()
    theta = [part.clone().requires_grad_() for part in head]
    edit, step = torch.optim.Adam([support], lr=p["outer_rate"]), torch.optim.Adam(theta, lr=p["inner_rate"])
    best, kept = -1.0, theta
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
        score = evaluate_groups(val[1], predicted, groups).worst_group_accuracy
        if score >= best:
            best, kept = score, [part.detach().clone() for part in theta]
    return kept


def both(setting: str, data: Data, val: Data, **changes: Any) -> tuple[float, float, float]:
    """Return the seconds of Longway and of the reference, and the largest difference of their heads' entries."""
    rng = np.random.default_rng(2)
    head = ((0.01 * rng.normal(size=(2, FEATURES))).astype(np.float32), np.zeros(2, np.float32))
    method = HSFM.from_paper(setting, head=head, device="cpu", **changes)
    start = time.perf_counter()
    method.fit(data[0], data[1], eval_set=val)
    ours = time.perf_counter() - start
    support = torch.from_numpy(method.support_before_).float()
    labels, theta = torch.from_numpy(method.support_labels_), (torch.from_numpy(head[0]), torch.from_numpy(head[1]))
    start = time.perf_counter()
    kept = reference(theta, support, labels, val, method.get_params())
    theirs = time.perf_counter() - start
    linear: Any = method.module_.linear
    found = (linear.weight, linear.bias)
    difference = max(float((mine - other).detach().abs().max()) for mine, other in zip(found, kept, strict=True))
    return ours, theirs, difference


def compare(setting: str) -> dict[str, float]:
    """Return the seconds of both, their ratio, and the largest difference of the heads.

    The first run, of two epochs, is not timed; its heads show that both do the same. Over all epochs Adam, which
    divides by the size of each entry of the gradient, carries the rounding of entries near zero to full steps.
    """
    n_train, n_val = SHAPES[setting]
    data, val = draw(n_train, 0), draw(n_val, 1)
    early = both(setting, data, val, epochs=2)[2]
    runs = [both(setting, data, val) for _ in range(ROUNDS[setting])]
    ours, theirs = min(run[0] for run in runs), min(run[1] for run in runs)
    return {
        "longway_s": ours,
        "reference_s": theirs,
        "ratio": theirs / ours,
        "difference": runs[0][2],
        "difference_after_two_epochs": early,
        "rounds": ROUNDS[setting],
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
