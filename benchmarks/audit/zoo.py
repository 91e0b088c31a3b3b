"""The zoo: data sets with a shortcut of known strength planted in them, and clean ones that could be mistaken for it.

A data set of the zoo is *planted* where an attribute agrees with the label in 80 % of the samples or more (or in 20 %
or fewer, which is the same under other names), *clean* where it agrees in half of them or there is none,
*uncontradicted* where it agrees in all or in none, so that no statistic can tell it from the core, and *between*
otherwise. The last two are audited, and count neither way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification

from longway.datasets import make_coloured_digits, make_planted_shortcut
from longway.datasets._sampling import induced
from longway.datasets.cmnist import CMNIST
from longway.datasets.dominoes import Dominoes
from longway.datasets.planted_shortcuts import Planted

DATA = Path(os.environ.get("LONGWAY_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
PLANTED_FROM = 0.8
ROWS = 2000

PAIRS = (
    ("Wavy_Hair", "Male"),
    ("Smiling", "Male"),
    ("Attractive", "Smiling"),
    ("Mouth_Slightly_Open", "Young"),
    ("High_Cheekbones", "Male"),
)
"""Label and attribute of the faces."""
MORE_PAIRS = (*PAIRS, ("Blond_Hair", "Male"), ("Wearing_Lipstick", "Smiling"), ("Young", "Eyeglasses"))
"""Those of the faces whose models are audited."""


@dataclass(frozen=True)
class Case:
    """A data set of the zoo.

    Parameters
    ----------
    family, name : str
    strength : float or None
        How often the attribute agrees with the label; None without an attribute.
    build : callable
        Returns features (n, d), labels (n,) and the attribute (n,) or None.
    """

    family: str
    name: str
    strength: float | None
    build: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray | None]]

    @property
    def kind(self) -> str:
        """Whether it is planted, clean, uncontradicted or between."""
        if self.strength is None or self.strength == 0.5:
            return "clean"
        agreement = max(self.strength, 1 - self.strength)
        if agreement == 1:
            return "uncontradicted"
        return "planted" if agreement >= PLANTED_FROM else "between"


def zoo(seed: int) -> Iterator[Case]:
    """Yield the data sets of a seed."""
    yield from _planted(seed)
    yield from _gaussian(seed)
    yield from _real(seed)
    yield from _digits(seed)
    if (DATA / "mnist.npz").is_file():
        yield from _cmnist(seed)
        if (DATA / "cifar10_automobile_truck.npz").is_file():
            yield from _dominoes(seed)
    if (DATA / "celeba_10k_64px.parquet").is_file():
        yield from _faces(seed)


def _planted(seed: int) -> Iterator[Case]:
    for strength in (0.5, 0.65, 0.8, 0.9, 0.95, 0.98):
        for core, shortcut in ((1.5, 3.0), (1.0, 2.0)):

            def build(strength: float = strength, core: float = core, shortcut: float = shortcut) -> tuple:
                drawn = make_planted_shortcut(
                    ROWS, correlation=strength, core=core, shortcut=shortcut, seed=seed, rotation_seed=seed
                )
                return drawn.X, drawn.y, drawn.shortcut

            yield Case("planted", f"core {core}, shortcut {shortcut}, {strength}", strength, build)
    for strength in (0.5, 0.9):

        def three(strength: float = strength) -> tuple:
            made = Planted(n=ROWS, n_classes=3, correlation=1 / 3 if strength == 0.5 else strength, core=2.0)
            train = made.build(seed)["train"]
            return train.X, train.y, train.attributes["shortcut"]

        yield Case("planted", f"three classes, {strength}", strength, three)


def _gaussian(seed: int) -> Iterator[Case]:
    """Clean ones: a strong core, two cores of different strength, wrong labels, a rare class, no signal, many parts."""

    def cores(*Cs: float, noise: float = 0.0, rare: float = 0.5) -> Callable[[], tuple]:
        def build() -> tuple:
            generator = np.random.default_rng(seed)
            y = (generator.random(ROWS) < rare).astype(np.int64)
            X = generator.normal(size=(ROWS, 20))
            for k, strength in enumerate(Cs):
                X[:, k] += strength * (2 * y - 1)
            y = np.where(generator.random(ROWS) < noise, 1 - y, y)
            return X @ np.linalg.qr(generator.normal(size=(20, 20)))[0], y, None

        return build

    yield Case("gaussian", "one core", None, cores(2.0))
    yield Case("gaussian", "two cores", None, cores(1.5, 1.0))
    yield Case("gaussian", "two strong cores", None, cores(2.0, 1.5))
    yield Case("gaussian", "wrong labels", None, cores(2.5, noise=0.05))
    yield Case("gaussian", "rare class", None, cores(1.5, 1.0, rare=0.08))
    yield Case("gaussian", "no signal", None, cores())

    def parts() -> tuple:
        X, y = make_classification(
            ROWS, 20, n_informative=6, n_classes=3, n_clusters_per_class=2, class_sep=1.5, random_state=seed
        )
        return X, y, None

    yield Case("gaussian", "two clusters a class", None, parts)


def _real(seed: int) -> Iterator[Case]:
    for name, load in (("breast cancer", load_breast_cancer), ("wine", load_wine), ("digits", load_digits)):

        def build(load: Callable = load) -> tuple:
            X, y = load(return_X_y=True)
            rows = np.random.default_rng(seed).permutation(len(y))[: max(150, int(0.9 * len(y)))]
            return X[rows], y[rows], None

        yield Case("real", name, None, build)


def _digits(seed: int) -> Iterator[Case]:
    for strength in (0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0):

        def build(strength: float = strength) -> tuple:
            part = make_coloured_digits(train_correlation=strength, copies=2, seed=seed)["train"]
            return part.X.reshape(len(part.X), -1), part.y, part.colour

        yield Case("digits", f"colour {strength}", strength, build)


def _cmnist(seed: int) -> Iterator[Case]:
    for strength in (0.5, 0.8, 0.9, 0.95):

        def build(strength: float = strength) -> tuple:
            made = CMNIST(train_correlation=strength, n_train=ROWS, size=14, label_noise=0.1)
            part = made.build(seed)["train"]
            return np.asarray(part.X, np.float32).reshape(ROWS, -1) / 255, part.y, part.attributes["colour"]

        yield Case("cmnist", f"colour {strength}", strength, build)


def _dominoes(seed: int) -> Iterator[Case]:
    """Automobiles and trucks above the digits 0 and 1, at half their size."""
    for strength in (0.5, 0.8, 0.9, 0.95):

        def build(strength: float = strength) -> tuple:
            part = Dominoes(correlation=strength).build(seed)["train"].take(np.arange(ROWS))
            X = np.asarray(part.X, np.float32).reshape(ROWS, 3, 32, 2, 16, 2).mean((3, 5)) / 255
            return X.reshape(ROWS, -1), part.y, part.attributes["digit"]

        yield Case("dominoes", f"digit {strength}", strength, build)


@cache
def embedded() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return features of all faces by an ImageNet backbone, and the attributes in ``MORE_PAIRS``."""
    from longway import read
    from longway.backbones import load_backbone
    from longway.backbones.embed import embed

    encoder = load_backbone(f"{DATA / 'mobilenet_v2.py'}:load", size=96, mean=0.5, std=0.5)
    data = embed(read(DATA / "celeba_10k_64px.parquet"), encoder, verbose=0)
    assert data.table is not None
    names = {name for pair in MORE_PAIRS for name in pair}
    return np.asarray(data.X), {name: data.table.values(name, "attribute", data.source) for name in names}


def _faces(seed: int) -> Iterator[Case]:
    for label, attribute in PAIRS:
        for strength in (0.5, 0.7, 0.9, 0.95, 0.99):

            def build(label: str = label, attribute: str = attribute, strength: float = strength) -> tuple:
                X, columns = embedded()
                y, a = columns[label], columns[attribute]
                generator = np.random.default_rng(seed)
                rows = generator.permutation(len(y))
                rows = rows[induced(y[rows], y[rows] == a[rows], strength, generator)]
                rows = np.sort(_halved(rows, y, generator))
                return X[rows].astype(np.float32), y[rows], a[rows]

            yield Case("faces", f"{label} / {attribute}, {strength}", strength, build)


def _halved(rows: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return at most ROWS of the rows, as many of each class."""
    each = min(ROWS // 2, *(int((y[rows] == code).sum()) for code in (0, 1)))
    return np.concatenate([generator.permutation(rows[y[rows] == code])[:each] for code in (0, 1)])
