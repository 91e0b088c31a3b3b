"""Features with shortcuts planted in them: any number of classes and shortcuts, of known strength and simplicity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.linalg import helmert

from longway.data.dataset import GroupedDataset
from longway.datasets._base import Benchmark, Card, Parts
from longway.datasets._sampling import correlated

FORMS = ("linear", "xor")


@dataclass(frozen=True, kw_only=True)
class Planted(Benchmark):
    """A weak core and strong shortcuts, hidden by a random rotation.

    Parameters
    ----------
    n, n_val, n_test : int, default 2000, 1000 and 2000
        Samples in train, in val and val_balanced each, and in test.
    n_features : int, default 20
        d; beyond the core and the shortcuts, features are noise.
    n_classes : int, default 2
        C.
    n_values : int, optional
        Values of each shortcut; C by default. ``y % n_values`` is the one that agrees with label y.
    n_shortcuts : int, default 1
        Shortcuts, independent of each other given the label. There are ``C * n_values ** n_shortcuts`` groups.
    correlation : float, default 0.95
        Share of each class whose shortcut agrees with the label in train and val: 1 leaves no contradicting sample,
        ``1 / n_values`` no shortcut.
    core, shortcut : float, default 1.5 and 3.0
        Distance of the means of classes, and of the values of a shortcut, from their midpoint.
    noise : float, default 1.0
        Deviation of the noise in every feature.
    core_form, shortcut_form : {"linear", "xor"}
        "linear" by default. "xor" multiplies the signal by a random sign that stands in a feature of its own: as
        telling as before, and invisible to a linear look.

    Notes
    -----
    The means are the corners of a regular simplex. In val_balanced and test all groups are equally large. With two
    classes and one shortcut it is the problem of `longway.datasets.make_planted_shortcut`. X is float32, (n, d).
    """

    n: int = 2000
    n_val: int = 1000
    n_test: int = 2000
    n_features: int = 20
    n_classes: int = 2
    n_values: int | None = None
    n_shortcuts: int = 1
    correlation: float = 0.95
    core: float = 1.5
    shortcut: float = 3.0
    noise: float = 1.0
    core_form: str = "linear"
    shortcut_form: str = "linear"

    name: ClassVar[str] = "planted"
    card: ClassVar[Card] = Card(
        title="Planted shortcut",
        core="a weak direction, or a weak product of two",
        shortcut="strong directions, or strong products of two",
        licence="none needed: numbers drawn at random",
        source="Longway",
    )

    def __post_init__(self) -> None:
        for option in ("n_classes", "n_values"):
            self._check_count(option, 2, optional=option == "n_values")
        self._check_count("n_shortcuts")
        for option in ("n", "n_val", "n_test"):
            self._check_count(option, self.n_groups)
        self._check_count("n_features", self._n_signals)
        self._check_number("correlation", 0, 1)
        for option in ("core", "shortcut", "noise"):
            self._check_number(option, 0)
        self._check_choice("core_form", FORMS)
        self._check_choice("shortcut_form", FORMS)

    @property
    def values(self) -> int:
        """Number of values of each shortcut."""
        return self.n_classes if self.n_values is None else self.n_values

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return self.n_classes * self.values**self.n_shortcuts

    @property
    def _n_signals(self) -> int:
        """Number of features that hold the core or a shortcut."""
        core = self.n_classes - 1 + (self.core_form == "xor")
        return int(core + self.n_shortcuts * (self.values - 1 + (self.shortcut_form == "xor")))

    def build(self, seed: int) -> Parts:
        """Draw the rotation and the samples."""
        generator = np.random.default_rng(seed)
        rotation = np.linalg.qr(generator.normal(size=(self.n_features, self.n_features)))[0]
        sizes = {"train": self.n, "val": self.n_val, "val_balanced": self.n_val, "test": self.n_test}
        return {
            name: self._drawn(size, name in ("val_balanced", "test"), rotation, generator)
            for name, size in sizes.items()
        }

    def _drawn(self, n: int, balanced: bool, rotation: np.ndarray, generator: np.random.Generator) -> GroupedDataset:
        """Draw n samples whose shortcuts agree with the label, or in which all groups are equally large."""
        codes = generator.permutation(np.arange(n) % self.n_groups)
        y, rest = codes % self.n_classes, codes // self.n_classes
        shortcuts = {}
        for k in range(self.n_shortcuts):
            rest, value = np.divmod(rest, self.values)
            chosen = value if balanced else correlated(y, self.correlation, generator, self.values)
            shortcuts["shortcut" if self.n_shortcuts == 1 else f"shortcut {k + 1}"] = chosen
        signals = [_signal(y, self.n_classes, self.core, self.core_form, generator)]
        signals += [
            _signal(value, self.values, self.shortcut, self.shortcut_form, generator) for value in shortcuts.values()
        ]
        X = self.noise * generator.normal(size=(n, self.n_features))
        X[:, : self._n_signals] += np.concatenate(signals, axis=1)
        return GroupedDataset((X @ rotation).astype(np.float32), y, shortcuts, label="label", source=self.name)


def _signal(
    values: np.ndarray, n_values: int, strength: float, form: str, generator: np.random.Generator
) -> np.ndarray:
    """Place each value at its corner of a simplex, (n, n_values - 1); "xor" mirrors it at random, and adds the sign."""
    corners = helmert(n_values).T / np.sqrt(1 - 1 / n_values)
    signal = strength * corners[values]
    if form == "linear":
        return signal
    sign = 2 * generator.integers(0, 2, (len(values), 1)) - 1
    return np.concatenate([sign * signal, strength * sign], axis=1)
