"""The linear unit tests of invariance discovery: the peer's procedure, written out, next to Longway's methods.

    python benchmarks/unit_tests.py   # results/unit_tests.json; about ten minutes on one core

The peer (github.com/facebookresearch/InvarianceUnitTests) takes full batches of Adam on one linear layer, 10,000
steps, with a weight of .9 on IRM's penalty and .1 on the risk by default; its oracle is ERM on data whose spurious
features are shuffled. The peer's published table comes from a search over settings on a cluster, and is not repeated.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from longway import ERM, IRM
from longway.data.dataset import GroupedDataset
from longway.datasets import Parts
from longway.datasets.unit_tests import EXAMPLES, UnitTests

N, STEPS, SEEDS = 1000, 10_000, range(3)
RESULT = Path(__file__).resolve().parents[1] / "results" / "unit_tests.json"


def peer(part: GroupedDataset, seed: int, penalty: float | None) -> nn.Linear:
    """Return the peer's linear layer: ERM, or IRM with this weight of the penalty."""
    torch.manual_seed(seed)
    layer = nn.Linear(part.X.shape[1], 1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    assert part.groups is not None
    assert part.y is not None
    envs = [
        (torch.from_numpy(part.X[part.groups == name]), torch.from_numpy(part.y[part.groups == name]).float())
        for name in np.unique(part.groups)
    ]
    for _ in range(STEPS):
        scale, shift = torch.ones((), requires_grad=True), torch.zeros((), requires_grad=True)
        risks = [binary_cross_entropy_with_logits(layer(x)[:, 0] * scale + shift, y) for x, y in envs]
        loss = torch.stack(risks).mean()
        if penalty is not None:
            slopes = [torch.autograd.grad(risk, (scale, shift), create_graph=True) for risk in risks]
            loss = (1 - penalty) * loss + penalty * torch.stack(
                [each.square() for pair in slopes for each in pair]
            ).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer


def error(part: GroupedDataset, predicted: np.ndarray) -> float:
    """Return the mean over environments of the error."""
    return float(np.mean(predicted != part.y))


def measured(parts: Parts, oracle: Parts, seed: int) -> dict[str, float]:
    """Return the test error of each procedure."""
    test, train = parts["test"], parts["train"]
    x = torch.from_numpy(test.X)
    found = {}
    for name, data, penalty in (("ERM", train, None), ("IRM", train, 0.9), ("oracle", oracle["train"], None)):
        found[f"peer {name}"] = error(test, (peer(data, seed, penalty)(x)[:, 0] > 0).numpy())
    eval_set = (parts["val"].X, parts["val"].y, parts["val"].groups)
    for name, data, method in (
        ("ERM", train, ERM(l2=1e-6, random_state=seed)),
        ("IRM", train, IRM(hidden=(), penalty=100.0, epochs=60, learning_rate=1e-2, random_state=seed)),
        ("oracle", oracle["train"], ERM(l2=1e-6, random_state=seed)),
    ):
        method.fit(data.X, data.y, groups=data.groups, eval_set=eval_set)
        found[f"longway {name}"] = error(test, method.predict(test.X))
    return found


def main() -> None:
    """Run all examples and write the result."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    for example in EXAMPLES:
        runs = [
            measured(
                UnitTests(example=example, n=N).build(seed),
                UnitTests(example=example, n=N, oracle=True).build(seed),
                seed,
            )
            for seed in SEEDS
        ]
        results[example] = {
            name: {
                "mean": round(float(np.mean([run[name] for run in runs])), 4),
                "std": round(float(np.std([run[name] for run in runs])), 4),
            }
            for name in runs[0]
        }
        print(example, results[example], flush=True)
    RESULT.write_text(json.dumps({"samples": N, "steps": STEPS, "errors": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
