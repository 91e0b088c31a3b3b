"""How to score latent axes when there are more than two classes: three scores on digits of as many hues as classes.

``python benchmarks/scores.py`` trains a beta-VAE without labels on coloured training digits, scores its axes in three
ways, and cuts those that score highest into a pseudo-attribute, as Longway does and by k-means. Writes
results/scores.json.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn.functional import one_hot

from longway.data.samples import Samples
from longway.datasets.classics import MNIST
from longway.functional.scores import shortcut_scores
from longway.groups import find_groups
from longway.groups._clustering import cut_points
from longway.groups.axes import matched_share
from longway.metrics.group_metrics import summarise

RESULTS = Path(__file__).resolve().parents[1] / "results" / "scores.json"
CLASSES, STRENGTHS, SEEDS = (2, 3, 5, 10), (0.9, 0.6), range(3)
N, BATCH = 6_000, 128


def one_vs_rest(latents: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Return the largest correlation with one class against the rest."""
    both = torch.cat([latents.double(), one_hot(labels, n_classes).double()], 1)
    return torch.corrcoef(both.T)[: latents.shape[1], latents.shape[1] :].abs().nan_to_num(0).amax(1)


def correlation_ratio(latents: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Return the root of the share of each axis's variance that lies between classes, as Longway has it."""
    return shortcut_scores(latents, labels, n_classes, class_balanced=False)


def mutual_information(latents: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Return the mutual information of ten equal shares of each axis with the label, over the label's entropy."""
    ranks = latents.argsort(0).argsort(0) * 10 // len(latents)
    joint = torch.einsum("ndb,nc->dbc", one_hot(ranks, 10).double(), one_hot(labels, n_classes).double()) / len(labels)
    outer = joint.sum(2, keepdim=True) * joint.sum(1, keepdim=True)
    information = (joint * (joint / outer.clamp_min(1e-12)).clamp_min(1e-12).log()).sum((1, 2))
    share = joint[0].sum(0).clamp_min(1e-12)
    return (information / -(share * share.log()).sum()).float()


SCORES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "largest one-vs-rest correlation": one_vs_rest,
    "correlation ratio": correlation_ratio,
    "mutual information": mutual_information,
}


def coloured(n_classes: int, strength: float, seed: int) -> tuple[Samples, np.ndarray]:
    """Return digits, cut into classes and painted in hues that agree with the label that often, and the hues (n,)."""
    raw, generator = MNIST.read(), np.random.default_rng(seed)
    chosen = generator.permutation(len(raw.x_train))[:N]
    digits = raw.y_train[chosen].astype(np.int64)
    y = digits * n_classes // 10
    hue = y.copy()
    other = generator.random(N) >= strength
    hue[other] = (y[other] + generator.integers(1, n_classes, other.sum())) % n_classes
    order = generator.permutation(n_classes)  # neighbouring classes need not have neighbouring hues
    paint = np.array([colorsys.hsv_to_rgb(k / n_classes, 1, 1) for k in order])
    grey = raw.x_train[chosen][:, None, ::2, ::2].astype(np.float32) / 255
    return Samples(grey * paint[hue].astype(np.float32)[:, :, None, None], y, np.ones(N)), hue


def weighted(latents: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the points (n, k) that ``shortcut_axes`` would cut, of axes with these scores."""
    axes = scores >= 0.5 * scores.max()
    return latents[:, axes] * (scores[axes].clip(min=1e-3) / latents[:, axes].std(0).clip(min=1e-12))


def measure(n_classes: int, strength: float, seed: int) -> dict[str, dict[str, float]]:
    """Return for each score how well its cut is the hue, how far hue axes lie above the others, and its noise."""
    rows, hue = coloured(n_classes, strength, seed)
    found = find_groups(rows, n_classes, "axes", seed=seed)
    latents, labels = torch.from_numpy(found.latents).double(), torch.from_numpy(rows.y)
    told = correlation_ratio(latents, torch.from_numpy(hue), n_classes).numpy() ** 2
    batches = [torch.arange(start, start + BATCH) for start in range(0, N - BATCH, BATCH)]
    line = {}
    for name, score in SCORES.items():
        whole = score(latents, labels, n_classes).numpy()
        small = np.stack([score(latents[rows_], labels[rows_], n_classes).numpy() for rows_ in batches])
        points = weighted(found.latents.astype(np.float64), whole)
        halved = KMeans(n_classes, n_init=10, random_state=seed).fit_predict(points).astype(np.int64)
        best = int(told.argmax())
        line[name] = {
            "agreement": matched_share(cut_points(points, n_classes, seed).predict(points).astype(np.int64), hue),
            "by_kmeans": matched_share(halved, hue),
            "gap": float(whole[best] - np.delete(whole, best)[np.delete(told, best) < 0.1].max(initial=0)),
            "first": float(whole.argmax() == best),
            "batch_bias": float(small.mean(0)[told < 0.1].mean() - whole[told < 0.1].mean())
            if (told < 0.1).any()
            else 0,
            "batch_std": float(small.std(0)[best]),
        }
    return line


def run() -> dict[str, Any]:
    """Return means over seeds, by the numbers of classes and the strengths."""
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    for n_classes in CLASSES:
        for strength in STRENGTHS:
            lines = [measure(n_classes, strength, seed) for seed in SEEDS]
            results[f"{n_classes} classes, {100 * strength:.0f} %"] = found = {
                name: {key: summarise(line[name][key] for line in lines).mean for key in lines[0][name]}
                for name in SCORES
            }
            for name, figures in found.items():
                print(n_classes, strength, name, {key: round(value, 3) for key, value in figures.items()}, flush=True)
    return results


if __name__ == "__main__":
    RESULTS.write_text(json.dumps(run(), indent=2) + "\n")
    print(f"written: {RESULTS.name}")
