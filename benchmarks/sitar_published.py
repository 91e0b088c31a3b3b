"""SITAR's published run in full: CMNIST with 50,000 images of 28 pixels, 100 epochs, five seeds, and its ablations.

``LONGWAY_DATA=FOLDER python benchmarks/sitar_published.py [TITLE ...]`` fits the settings of these titles, by default
all in order: the published one, its four ablations, Chroma-VAE and JTT. About an hour a fit on a core. It tells the
accuracy in distribution, out of distribution and with random colours, of the selected and of the last epoch, and the
score of each axis. Writes results/sitar_published.json after each fit, and goes on where it was interrupted, within a
fit, too.

The faces, with and without noise, are ``longway bench run benchmarks/compare/sitar-faces-published.toml``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from longway import JTT, SITAR, ChromaVAE, Method, training_options
from longway.data import GroupedDataset
from longway.datasets.cmnist import CMNIST
from longway.training.selection import BestEpoch

RESULTS = Path(__file__).resolve().parents[1] / "results" / "sitar_published.json"
SEEDS, EPOCHS = range(5), 100
ABLATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "beta": ("beta", (0.1, 1.0, 1.5)),
    "noise": ("noise_scale", (0.0, 0.1, 0.5, 3.0)),
    "consistency": ("consistency_weight", (0.0, 0.01, 0.1, 1.0, 5.0)),
}


def settings() -> Iterator[tuple[str, type[Method], dict[str, Any]]]:
    """Yield title, class and changed parameters of each setting."""
    yield "published", SITAR, {}
    yield "isotropic", SITAR, {}
    for title, (name, values) in ABLATIONS.items():
        for value in values:
            yield f"{title} {value:g}", SITAR, {name: value}
    yield "chroma-vae", ChromaVAE, {}
    yield "jtt", JTT, {}


def ones(latents: Tensor, labels: Tensor, n_classes: int, **_: Any) -> Tensor:
    """Score all axes 1."""
    return latents.new_ones(latents.shape[1])


@contextmanager
def followed(title: str, last: dict[str, Tensor]) -> Iterator[None]:
    """Keep the state of the last epoch while the body fits; without directed noise for "isotropic"."""

    class Followed(BestEpoch):
        def restore(self) -> dict[str, Any]:
            last.update({name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()})
            return super().restore()

    scores = ones if title == "isotropic" else None
    module = "longway.methods.sitar.estimator"
    with patch(f"{module}.BestEpoch", Followed):
        if scores is None:
            yield
        else:
            with patch(f"{module}.shortcut_scores", scores):
                yield


def arrays(part: GroupedDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return images, from 0 to 1, and labels."""
    return np.asarray(part.X, np.float32) / 255, np.asarray(part.y)


def accuracies(method: Method, parts: Mapping[str, GroupedDataset]) -> dict[str, float]:
    """Return the accuracy in each test part."""
    return {name: float(np.mean(method.predict(X) == y)) for name in TESTS for X, y in [arrays(parts[name])]}


TESTS = ("test", "ood", "random")


def fitted(
    title: str, cls: type[Method], changes: dict[str, Any], seed: int, epochs: int, n: int | None
) -> dict[str, Any]:
    """Fit one setting and return its record."""
    parts, last = CMNIST(n_train=n).build(seed), dict[str, Tensor]()
    common = {"epochs": epochs, "random_state": seed, **changes}
    method = cls.from_paper("cmnist", **common) if cls is SITAR else cls(selection="balanced", **common)
    folder = RESULTS.with_suffix("") / f"{title.replace(' ', '-')}-{seed}"
    with training_options(checkpoint=folder), followed(title, last):
        method.fit(*arrays(parts["train"]), eval_set=arrays(parts["val"]))
    record: dict[str, Any] = {"selection": method.selection_, "selected": accuracies(method, parts)}
    if last:
        record["scores"] = np.round(method.shortcut_scores_, 3).tolist()
        with torch.no_grad():
            method.module_.load_state_dict(last)
        record["last"] = accuracies(method, parts)
        record["history"] = [{name: round(value, 4) for name, value in epoch.items()} for epoch in method.history_]
    return record


def main(titles: list[str], seeds: Any = SEEDS, epochs: int = EPOCHS, n: int | None = None) -> None:
    """Fit what is missing."""
    done: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for title, cls, changes in settings():
        for seed in seeds:
            key = f"{title}, seed {seed}"
            if key in done or (titles and title not in titles):
                continue
            done[key] = fitted(title, cls, changes, seed, epochs, n)
            RESULTS.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
            print(key, {name: done[key][name] for name in ("selected", "last") if name in done[key]}, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
