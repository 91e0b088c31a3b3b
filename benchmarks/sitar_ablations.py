"""What each part of SITAR does on coloured MNIST: the paper's four ablations, the default's parts, and the choice.

``python benchmarks/sitar_ablations.py`` fits every setting on 10,000 images of 14x14 pixels, with seeds that no table
uses, and follows the accuracy on validation digits with reversed colours; no test image is read. Writes
results/sitar_ablations.json after each fit and goes on where it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from longway import SITAR
from longway.data import GroupedDataset
from longway.data.samples import Samples, predict_logits
from longway.datasets.cmnist import CMNIST
from longway.training.selection import BestEpoch

RESULTS = Path(__file__).resolve().parents[1] / "results" / "sitar_ablations.json"
SEEDS = range(10, 13)
PAPER_EPOCHS, EPOCHS = 40, 20
SMALLER = 4
"""The images have a quarter of the paper's pixels, so that a quarter of its beta weighs as much beside their error."""

WATCHED = 4_000
"""Validation digits whose colours are drawn anew to follow the accuracy on."""


class Setting(NamedTuple):
    """One way to fit.

    Parameters
    ----------
    part : str
        The ablation that it belongs to.
    title : str
    changes : dict
        Parameters that differ from the published ones, or from the default's.
    replaced : tuple of pairs
        What is put in the place of names in ``longway``.
    """

    part: str
    title: str
    changes: dict[str, Any]
    replaced: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Part and title."""
        return f"{self.part}: {self.title}"

    def method(self, seed: int) -> SITAR:
        """Return the unfitted method."""
        if self.part.startswith("paper"):
            # The record was made with linear heads; the published setting now has the paper's MLP heads.
            changes = {"heads": (), **self.changes, "beta": self.changes.get("beta", 2.0) / SMALLER}
            return SITAR.from_paper("cmnist", epochs=PAPER_EPOCHS, batch_size=128, random_state=seed, **changes)
        return SITAR(epochs=EPOCHS, random_state=seed, **self.changes)


def isotropic(latents: Tensor, labels: Tensor, n_classes: int, **_: Any) -> Tensor:
    """Score all axes 1."""
    return latents.new_ones(latents.shape[1])


def nothing(*_: Any, **__: Any) -> None:
    """Find no maps that recolour, or no errors."""


NO_MAPS = ("groups.evidence.recolouring", nothing)
NO_ERRORS = ("groups.evidence.consistent_errors", nothing)


SETTINGS = [
    Setting("default", "unchanged", {}),
    Setting("default", "no noise", {"noise_scale": 0.0, "consistency_weight": 0.0}),
    Setting("default", "pseudo-groups, no recolouring", {}, (NO_MAPS, NO_ERRORS)),
    Setting("default", "errors, no recolouring", {}, (NO_MAPS,)),
    *(Setting("default", f"beta {beta:g}", {"beta": beta}) for beta in (0.2, 6.0)),
    *(Setting("default", f"noise {noise:g}", {"noise_scale": noise}) for noise in (0.1, 2.0)),
    *(Setting("default", f"consistency {weight:g}", {"consistency_weight": weight}) for weight in (1.0, 50.0)),
    *(Setting("default", f"{d} axes", {"latent_dim": d}) for d in (5, 24)),
    *(Setting("default", f"learning rate {rate:g}", {"learning_rate": rate}) for rate in (3e-4, 3e-3)),
    *(Setting("paper, beta", f"{beta:g}", {"beta": beta}) for beta in (0.1, 1.0, 1.5, 2.0)),
    *(Setting("paper, noise", f"{noise:g}", {"noise_scale": noise}) for noise in (0.0, 0.1, 0.5, 3.0)),
    *(Setting("paper, consistency", f"{weight:g}", {"consistency_weight": weight}) for weight in (0.0, 0.1, 1.0, 50.0)),
    Setting("paper, scores", "isotropic", {}, (("methods.sitar.estimator.shortcut_scores", isotropic),)),
]


def images(part: GroupedDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return images, from 0 to 1, and labels."""
    return np.asarray(part.X, np.float32) / 255, np.asarray(part.y)


class Watched:
    """Accuracy of a network on digits of a validation part, by whether colour and label agree.

    Parameters
    ----------
    part : GroupedDataset
        Its colours are independent of the labels.
    """

    def __init__(self, part: GroupedDataset) -> None:
        X, y = images(part)
        self.rows = Samples(X[:WATCHED], y[:WATCHED], np.ones(WATCHED))
        self.agree = (np.asarray(part.attributes["colour"]) == y)[:WATCHED]

    def __call__(self, network: torch.nn.Module) -> dict[str, float]:
        """Return accuracies with colours as in training (id), reversed (ood) and drawn at random."""
        right = predict_logits(network, self.rows).argmax(1).numpy() == self.rows.y
        agree, apart = float(right[self.agree].mean()), float(right[~self.agree].mean())
        return {
            "id": 0.9 * agree + 0.1 * apart,
            "ood": 0.1 * agree + 0.9 * apart,
            "random": 0.5 * agree + 0.5 * apart,
        }


@contextmanager
def changed(setting: Setting, watch: Watched) -> Iterator[None]:
    """Fit with the setting's replacements while the body runs, every epoch's record holding what is watched."""

    class Watching(BestEpoch):
        def observe(self, epoch: int, logits: Tensor | None = None) -> dict[str, float]:
            return super().observe(epoch, logits) | watch(self.network)

    with ExitStack() as stack:
        for name, value in (("methods.sitar.estimator.BestEpoch", Watching), *setting.replaced):
            stack.enter_context(patch(f"longway.{name}", value))
        yield


def fit(setting: Setting, seed: int) -> dict[str, Any]:
    """Fit once; return the curves, the epoch chosen, and what it was chosen by."""
    parts = CMNIST(n_train=10_000, size=14).build(seed)
    X, y = images(parts["val"])
    method = setting.method(seed)
    with changed(setting, Watched(parts["val_balanced"])):
        method.fit(*images(parts["train"]), eval_set=(X[WATCHED:], y[WATCHED:]))
    chosen = method.selection_
    curves = {name: [round(epoch[name], 4) for epoch in method.history_] for name in ("id", "ood", "random")}
    at = chosen["epoch"] - 1
    return {
        "epoch": chosen["epoch"],
        "rule": chosen["rule"],
        "score": chosen["score"],
        "debias_mode": method.group_inference_.get("debias_mode"),
        "top_score": float(method.shortcut_scores_.max()),
        **{name: values[at] for name, values in curves.items()},
        "curves": curves,
    }


def run() -> None:
    """Fit what has not been fitted yet, the default's settings first; write after each fit."""
    torch.set_num_threads(1)
    done: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    papers = [setting.part.startswith("paper") for setting in SETTINGS]
    for paper, seed, (setting, of_paper) in product((False, True), SEEDS, zip(SETTINGS, papers, strict=True)):
        trials = done.setdefault(setting.name, {})
        if paper != of_paper or str(seed) in trials:
            continue
        trials[str(seed)] = found = fit(setting, seed)
        scratch = RESULTS.with_suffix(".partial")
        scratch.write_text(json.dumps(done) + "\n")
        scratch.replace(RESULTS)
        print(seed, setting.name, {k: round(found[k], 3) for k in ("epoch", "score", "id", "ood")}, flush=True)


if __name__ == "__main__":
    run()
    print(f"written: {RESULTS.name}")
