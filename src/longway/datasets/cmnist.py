"""Coloured MNIST in the variants of three papers: colour predicts the noisy label better than the digit does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.datasets._base import Benchmark, Card, Parts
from longway.datasets._sampling import correlated, pair_names
from longway.datasets.classics import MNIST, Arrays
from longway.utils.errors import LongwayError

ENVIRONMENTS = {0.1: "+90", 0.2: "+80", 0.9: "-90"}
"""Probability that the colour differs from the label in each part, with the names of the parts in tables."""


class Scheme(NamedTuple):
    """A variant: the names of labels and colours, the channel of each colour, and the number of channels."""

    classes: tuple[str, str]
    colours: tuple[str, str]
    channels: tuple[int, int]
    n_channels: int
    size: int


SCHEMES = {
    "sitar": Scheme(("0-4", "5-9"), ("green", "red"), (1, 0), 3, 28),
    "irm": Scheme(("5-9", "0-4"), ("red", "green"), (0, 1), 2, 14),
    "domainbed": Scheme(("5-9", "0-4"), ("red", "green"), (0, 1), 2, 28),
}


@dataclass(frozen=True, kw_only=True)
class CMNIST(Benchmark):
    """Coloured MNIST.

    Parameters
    ----------
    variant : {"sitar", "irm", "domainbed"}, default "sitar"
        "sitar": 50,000 training and 10,000 validation digits, three channels, the label is [digit >= 5]. "irm" and
        "domainbed": environments in which the colour differs from the label [digit < 5] in 10, 20 and 90 % of images,
        of two channels; the last is the test.
    train_correlation : float, optional
        How often the colour agrees with the label in train, val and test of "sitar" (default 0.9); 1 leaves no
        contradicting sample in them. The other variants have their environments instead.
    label_noise : float, default 0.25
        Share of labels that differ from what the digit says.
    n_train : int, optional
        Keep this many training images, chosen at random.
    size : {28, 14}, optional
        Side in pixels; every second pixel is left out for 14, which is the default of "irm".

    Notes
    -----
    All shares are exact in each class. Parts of "sitar": train, val, val_balanced (the colour says nothing), test
    (coloured as train), and the test's digits with reversed ("ood", 10 % agree) and random colours ("random"). Parts of
    the others: train, val, val_balanced, and test, which is also called "ood". "irm" trains on the first 50,000
    training digits, tests on the last 10,000 and leaves MNIST's own test digits unused; they make its val here.
    """

    variant: str = "sitar"
    train_correlation: float | None = None
    label_noise: float = 0.25
    n_train: int | None = None
    size: int | None = None

    name: ClassVar[str] = "cmnist"
    card: ClassVar[Card] = Card(
        title="Coloured MNIST",
        core="shape of the digit, 0-4 or 5-9, right for 75 % of the labels",
        shortcut="colour, right for 90 % of the training labels",
        licence="MNIST: CC BY-SA 3.0",
        source="Arjovsky et al., Invariant Risk Minimization, 2019; Gulrajani and Lopez-Paz, In Search of Lost Domain "
        "Generalization, 2021; digits by LeCun, Cortes and Burges",
        obtain="mnist.npz (x_train, y_train, x_test, y_test) or the four original *-ubyte.gz; downloaded if absent.",
        metric=("random", "worst_group"),  # above 75 % on "ood" a classifier relies on the reversed colour
        files={"mnist.npz": "1de0c9e5deb8cda17af21953bf4dd10641deed9b"},
    )

    def __post_init__(self) -> None:
        self._check_choice("variant", SCHEMES)
        self._check_number("train_correlation", 0, 1, optional=True)
        if self.train_correlation is not None and self.variant != "sitar":
            raise LongwayError(
                f"train_correlation={self.train_correlation!r} of benchmark {self.name} is for variant='sitar'; "
                f"{self.variant!r} has its environments"
            )
        self._check_number("label_noise", 0, 0.5)
        self._check_count("n_train", 2, optional=True)
        self._check_choice("size", (None, 28, 14))

    def raw_fingerprint(self) -> str:
        """Return the content hash of MNIST, independent of the file format."""
        return MNIST.fingerprint()

    def build(self, seed: int) -> Parts:
        """Draw the split, the label noise and the colours."""
        generator = np.random.default_rng(seed)
        variants = {"sitar": self._sitar, "irm": self._irm, "domainbed": self._domainbed}
        return variants[self.variant](MNIST.read(), generator)

    def _sitar(self, raw: Arrays, generator: np.random.Generator) -> Parts:
        agrees = 0.9 if self.train_correlation is None else self.train_correlation
        order = generator.permutation(len(raw.x_train))
        train, val = order[:50_000], order[50_000:]
        digits = {
            "train": (raw.x_train, raw.y_train, self._chosen(train)),
            "val": (raw.x_train, raw.y_train, val),
            "test": (raw.x_test, raw.y_test, np.arange(len(raw.x_test))),
        }
        labels = {name: self._labels(y[rows], generator) for name, (_, y, rows) in digits.items()}
        shares = {
            "train": ("train", agrees),
            "val": ("val", agrees),
            "val_balanced": ("val", 0.5),
            "test": ("test", agrees),
            "ood": ("test", 0.1),
            "random": ("test", 0.5),
        }
        parts = {}
        for name, (of, share) in shares.items():
            x, _, rows = digits[of]
            parts[name] = self._painted(x[rows], labels[of], correlated(labels[of], share, generator))
        return parts

    def _irm(self, raw: Arrays, generator: np.random.Generator) -> Parts:
        train = self._chosen(generator.permutation(50_000))
        val = generator.permutation(len(raw.x_test))
        shown = {"train": (raw.x_train, raw.y_train, train), "val": (raw.x_test, raw.y_test, val)}
        last = (raw.x_train[50_000:], raw.y_train[50_000:])
        halves = {name: np.where(np.arange(len(rows)) % 2 == 0, 0.2, 0.1) for name, (_, _, rows) in shown.items()}
        return self._with_environments(
            {name: (x[rows], y[rows], halves[name]) for name, (x, y, rows) in shown.items()}, last, generator
        )

    def _domainbed(self, raw: Arrays, generator: np.random.Generator) -> Parts:
        x, y = np.concatenate([raw.x_train, raw.x_test]), np.concatenate([raw.y_train, raw.y_test])
        order = generator.permutation(len(x))
        first, second, last = (order[k::3] for k in range(3))
        cuts = [(rows, round(0.8 * len(rows))) for rows in (first, second)]
        known = {
            "train": np.concatenate([rows[:cut] for rows, cut in cuts]),
            "val": np.concatenate([rows[cut:] for rows, cut in cuts]),
        }
        flip = np.empty(len(x))
        flip[first], flip[second] = 0.1, 0.2
        known["train"] = self._chosen(generator.permutation(known["train"]))
        return self._with_environments(
            {name: (x[rows], y[rows], flip[rows]) for name, rows in known.items()}, (x[last], y[last]), generator
        )

    def _with_environments(
        self,
        known: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
        last: tuple[np.ndarray, np.ndarray],
        generator: np.random.Generator,
    ) -> Parts:
        """Colour images (n, 28, 28) of digits (n,) with their environment's probability of a flipped colour (n,)."""
        parts = {}
        for name, (x, digits, flip) in {**known, "test": (*last, np.full(len(last[0]), 0.9))}.items():
            y = self._labels(digits, generator)
            colour = np.empty_like(y)
            for share in np.unique(flip).tolist():
                rows = flip == share
                colour[rows] = correlated(y[rows], 1 - share, generator)
            parts[name] = self._painted(x, y, colour, flip)
            if name == "val":
                parts["val_balanced"] = self._painted(x, y, correlated(y, 0.5, generator))
        return {**parts, "ood": parts["test"]}

    def _chosen(self, rows: np.ndarray) -> np.ndarray:
        if self.n_train is not None and self.n_train > len(rows):
            raise LongwayError(f"n_train={self.n_train} of benchmark {self.name}: there are only {len(rows)} images")
        return rows[: self.n_train]

    def _labels(self, digits: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        high = digits >= 5
        return correlated(high if self.variant == "sitar" else ~high, 1 - self.label_noise, generator)

    def _painted(
        self, grey: np.ndarray, y: np.ndarray, colour: np.ndarray, flip: np.ndarray | None = None
    ) -> GroupedDataset:
        """Place each image (n, 28, 28) in the channel of its colour."""
        scheme = SCHEMES[self.variant]
        grey = grey if (self.size or scheme.size) == 28 else grey[:, ::2, ::2]
        X = np.zeros((len(grey), scheme.n_channels, *grey.shape[1:]), np.uint8)
        X[np.arange(len(grey)), np.array(scheme.channels)[colour]] = grey
        attributes = {"colour": colour}
        if flip is not None:
            attributes["environment"] = np.array([ENVIRONMENTS[share] for share in flip.tolist()])
        groups = pair_names(y, colour, scheme.classes, scheme.colours)
        return GroupedDataset(X, y, attributes, groups, label="digit", source=self.name)
