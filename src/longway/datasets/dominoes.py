"""Dominoes: two pictures, one above the other; the simple one predicts the label in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.datasets._base import Benchmark, Card, Parts
from longway.datasets._sampling import pair_names
from longway.datasets.classics import AUTOMOBILE, CIFAR_VEHICLES, FASHION_MNIST, MNIST, TRUCK, Arrays
from longway.utils.storage import hash_json

COAT, DRESS = 4, 3
"""Labels of Fashion-MNIST."""

_TOPS = {
    "cifar": (CIFAR_VEHICLES, (AUTOMOBILE, TRUCK), ("automobile", "truck")),
    "fashion": (FASHION_MNIST, (COAT, DRESS), ("coat", "dress")),
}
_WIDTHS = {"cifar": 32, "fashion": 28}


@dataclass(frozen=True, kw_only=True)
class Dominoes(Benchmark):
    """Pictures of things above pictures of the digits 0 and 1.

    Parameters
    ----------
    top : {"cifar", "fashion"}, default "cifar"
        Automobiles and trucks of CIFAR-10 above, 3x64x32 pixels; or coats and dresses of Fashion-MNIST, 1x56x28.
    correlation : float, default 0.9
        How often the digit is 0 for the first class and 1 for the second, in train and val.
    n_train : int, optional
        Keep this many training images, half of them of each class.
    size : int, optional
        Width in pixels. Half the pictures' own (16 and 14) averages every 2x2 pixels into one.

    Notes
    -----
    The raw training pictures are split 80/20 into train and val by the seed. In each part, every class has as many
    pictures as the smallest of the four piles, no picture twice, and the shares are exact. val_balanced holds val's
    pictures paired anew, and test pairs the raw test pictures, both without a correlation.
    """

    top: str = "cifar"
    correlation: float = 0.9
    n_train: int | None = None
    size: int | None = None

    name: ClassVar[str] = "dominoes"
    later: ClassVar[tuple[str, ...]] = ("n_train", "size")
    card: ClassVar[Card] = Card(
        title="Dominoes",
        core="picture above: automobile or truck",
        shortcut="digit below, 0 or 1",
        licence="CIFAR-10: none stated, for research; MNIST: CC BY-SA 3.0; Fashion-MNIST: MIT",
        source="after Shah et al., The Pitfalls of Simplicity Bias in Neural Networks, 2020, and Pagliardini et al., "
        "Agree to Disagree, 2022; pictures by Krizhevsky, 2009, LeCun et al., and Xiao et al., 2017",
        obtain="mnist.npz or its four *-ubyte.gz; cifar-10-batches-bin, cifar-10-binary.tar.gz or "
        "cifar10_automobile_truck.npz; for top='fashion', fashion-mnist.npz or fashion-mnist/*-ubyte.gz; downloaded if "
        "absent.",
        files={
            "mnist.npz": "1de0c9e5deb8cda17af21953bf4dd10641deed9b",
            "cifar10_automobile_truck.npz": "610f49e36c958dd429cb3becc3f2c8682cb6fdb4",
        },
    )

    def __post_init__(self) -> None:
        self._check_choice("top", _TOPS)
        self._check_number("correlation", 0, 1)
        self._check_count("n_train", 4, optional=True)
        width = _WIDTHS[self.top]
        self._check_choice("size", (None, width, width // 2))

    def raw_fingerprint(self) -> str:
        """Return the content hash of both sets of pictures, the same whatever form they are in."""
        return hash_json([_TOPS[self.top][0].fingerprint(), MNIST.fingerprint()])

    def build(self, seed: int) -> Parts:
        """Draw the split and pair the pictures."""
        generator = np.random.default_rng(seed)
        classic, labels, _ = _TOPS[self.top]
        piles = {"above": _piles(classic.read(), labels, generator), "below": _piles(MNIST.read(), (0, 1), generator)}
        shares = {
            "train": ("train", self.correlation),
            "val": ("val", self.correlation),
            "val_balanced": ("val", 0.5),
            "test": ("test", 0.5),
        }
        sizes = {of: min(map(len, [*above, *piles["below"][of]])) for of, above in piles["above"].items()}
        if self.n_train is not None:
            if self.n_train > 2 * sizes["train"]:
                raise self._refuse("n_train", f"a whole number; there are only {2 * sizes['train']} images")
            sizes["train"] = self.n_train // 2
        return {
            name: self._paired(piles["above"][of], piles["below"][of], sizes[of], share, generator)
            for name, (of, share) in shares.items()
        }

    def _paired(
        self, above: list[np.ndarray], below: list[np.ndarray], n: int, share: float, generator: np.random.Generator
    ) -> GroupedDataset:
        """Pair n pictures of each of two piles with as many of two others, so that a share of each class agrees."""
        (first, second), (zeros, ones) = (
            [generator.permutation(pile)[:n] for pile in piles] for piles in (above, below)
        )
        same = round(share * n)
        y = np.repeat([0, 1], n)
        digit = np.concatenate([np.arange(n) >= same, np.arange(n) < same]).astype(np.int64)
        top = np.concatenate([first, second])
        bottom = np.concatenate([zeros[:same], ones[same:], ones[:same], zeros[same:]])
        order = generator.permutation(2 * n)
        X = _resized(_stacked(top[order], bottom[order]), self.size)
        groups = pair_names(y[order], digit[order], _TOPS[self.top][2], ("0", "1"))
        return GroupedDataset(X, y[order], {"digit": digit[order]}, groups, label="picture", source=self.name)


def _piles(raw: Arrays, labels: tuple[int, int], generator: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Return the pictures of two classes for each part: 80 and 20 % of the raw training pictures, and the test's."""
    piles: dict[str, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    for label in labels:
        shuffled = generator.permutation(np.flatnonzero(raw.y_train == label))
        cut = round(0.8 * len(shuffled))
        piles["train"].append(raw.x_train[shuffled[:cut]])
        piles["val"].append(raw.x_train[shuffled[cut:]])
        piles["test"].append(raw.x_test[raw.y_test == label])
    return piles


def _stacked(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Put pictures (n, h, w) or (n, 3, h, w) above others (n, 28, 28), which get a margin and channels like theirs."""
    top = top if top.ndim == 4 else top[:, None]
    n, channels, height, width = top.shape
    margin = (width - bottom.shape[2]) // 2
    X = np.zeros((n, channels, 2 * height, width), np.uint8)
    X[:, :, :height] = top
    X[:, :, height + margin : 2 * height - margin, margin : width - margin] = bottom[:, None]
    return X


def _resized(X: np.ndarray, width: int | None) -> np.ndarray:
    """Average blocks of pixels (n, c, h, w), so that the width is this."""
    n, channels, height, own = X.shape
    by = 1 if width is None else own // width
    if by == 1:
        return X
    blocks = X.reshape(n, channels, height // by, by, own // by, by)
    return np.rint(blocks.mean((3, 5), dtype=np.float32)).astype(np.uint8)
