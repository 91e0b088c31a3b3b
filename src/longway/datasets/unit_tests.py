"""Linear unit tests for invariance discovery: the two classification problems, plain and scrambled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.datasets._base import Benchmark, Card, Parts

EXAMPLES = ("example2", "example2s", "example3", "example3s")
FIRST = ((0.95, 0.3), (0.97, 0.5), (0.99, 0.7))
"""Example 2's first three environments: p, how often animal and background agree, and s, the share of cows."""
SPREAD = 0.1
"""Deviation of Example 3's features, and distance of its invariant means from 0."""
FOREGROUND = 1e-2
"""Scale of Example 2's animal; the background's is 1."""

Draw = Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Draws invariant features, spurious features and labels of n samples from one environment."""


@dataclass(frozen=True, kw_only=True)
class UnitTests(Benchmark):
    """Environments in which some features tell the class in one way, and others in a way that changes.

    Parameters
    ----------
    example : {"example2", "example2s", "example3", "example3s"}, default "example2"
        "example2" is *cows and camels*: a faint animal decides the class, and a loud background agrees with it in most
        samples. "example3" is *small invariant margin*: the means of the spurious features are drawn anew in each
        environment. "s" mixes all features by a random rotation. The paper's Example 1 is a regression, and left out.
    dim_inv, dim_spu : int, default 5
        Invariant and spurious features.
    n_envs : int, default 3
        Environments, 2 or more.
    n : int, default 10_000
        Samples of each environment in each part.
    oracle : bool, default False
        Shuffle the spurious features in train and val, too: a fit to these data is the paper's oracle.

    Notes
    -----
    Groups are environments, each with both classes, so that ``worst_group`` is the accuracy in the worst environment;
    the paper prints errors, one minus accuracy. In val_balanced and test the spurious features are shuffled within an
    environment. X is float32, (n, dim_inv + dim_spu).
    """

    example: str = "example2"
    dim_inv: int = 5
    dim_spu: int = 5
    n_envs: int = 3
    n: int = 10_000
    oracle: bool = False

    name: ClassVar[str] = "unit-tests"
    card: ClassVar[Card] = Card(
        title="Linear unit tests",
        core="features that tell the class alike in all environments",
        shortcut="features that tell it differently",
        licence="none needed: numbers drawn at random",
        source="Aubin et al., arXiv 2102.10867; github.com/facebookresearch/InvarianceUnitTests",
    )

    def __post_init__(self) -> None:
        self._check_choice("example", EXAMPLES)
        for option in ("dim_inv", "dim_spu"):
            self._check_count(option)
        self._check_count("n_envs", 2)
        self._check_count("n", 10)
        self._check_choice("oracle", (True, False))

    def build(self, seed: int) -> Parts:
        """Draw the environments, the rotation and the samples."""
        generator = np.random.default_rng(seed)
        cows = self.example.startswith("example2")
        environments = [(self._cows if cows else self._margins)(k, generator) for k in range(self.n_envs)]
        d = self.dim_inv + self.dim_spu
        rotation = np.linalg.qr(generator.normal(size=(d, d)))[0] if self.example.endswith("s") else np.eye(d)
        shuffled = {"train": self.oracle, "val": self.oracle, "val_balanced": True, "test": True}
        return {name: self._part(environments, rotation, mixed, generator) for name, mixed in shuffled.items()}

    def _part(
        self, environments: list[Draw], rotation: np.ndarray, mixed: bool, generator: np.random.Generator
    ) -> GroupedDataset:
        """Draw one part, with the spurious features shuffled within each environment or not."""
        inputs, labels = [], []
        for draw in environments:
            core, spurious, y = draw(self.n)
            spurious = generator.permutation(spurious) if mixed else spurious
            inputs.append(np.concatenate([core, spurious], 1) @ rotation)
            labels.append(y)
        groups = np.repeat([f"environment {k}" for k in range(len(environments))], self.n)
        X = np.concatenate(inputs).astype(np.float32)
        return GroupedDataset(X, np.concatenate(labels), {}, groups, label="label", source=self.name)

    def _cows(self, k: int, generator: np.random.Generator) -> Draw:
        """Return an environment of Example 2: four combinations of animal and background, with noise."""
        p, s = FIRST[k] if k < len(FIRST) else (generator.uniform(0.9, 1), generator.uniform(0.3, 0.7))
        shares = np.array([p * s, (1 - p) * s, p * (1 - s), (1 - p) * (1 - s)])
        animal, background = np.array([1, 1, -1, -1]), np.array([1, -1, -1, 1])

        def draw(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            cell = generator.choice(4, n, p=shares)
            noise = generator.normal(size=(n, self.dim_inv + self.dim_spu)) / np.sqrt(10)
            core = FOREGROUND * (animal[cell, None] + noise[:, : self.dim_inv])
            return core, background[cell, None] + noise[:, self.dim_inv :], (core.sum(1) > 0).astype(np.int64)

        return draw

    def _margins(self, k: int, generator: np.random.Generator) -> Draw:
        """Return an environment of Example 3: close invariant means, and spurious ones of its own far apart."""
        means = generator.normal(size=self.dim_spu)

        def draw(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            y = np.arange(n) % 2
            side = (1 - 2 * y)[:, None]
            core = SPREAD * (side + generator.normal(size=(n, self.dim_inv)))
            return core, side * means + SPREAD * generator.normal(size=(n, self.dim_spu)), y

        return draw
