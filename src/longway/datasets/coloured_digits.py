"""The embedded coloured digits as a benchmark: real images, no file needed, seconds to train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.datasets._base import Benchmark, Card, Parts
from longway.datasets._make_digits import GROUP_NAMES, ColouredDigits, make_coloured_digits


@dataclass(frozen=True, kw_only=True)
class Digits(Benchmark):
    """Coloured digits.

    Parameters
    ----------
    train_correlation : float, default 0.9
        How often the colour agrees with the label in train, val and id.
    ood_correlation : float, default 0.1
        How often it does in ood.
    copies : int, default 4
        Images of each digit in train and val; half of it in id and ood.

    Notes
    -----
    test joins id and ood, which hold the same digits, so that every group has enough samples; X is float32,
    (n, 3, 10, 10) in [0, 1].
    """

    train_correlation: float = 0.9
    ood_correlation: float = 0.1
    copies: int = 4

    name: ClassVar[str] = "digits"
    card: ClassVar[Card] = Card(
        title="Coloured digits",
        core="shape of the digit, 0-4 or 5-9",
        shortcut="colour",
        licence="CC BY 4.0 (Optical Recognition of Handwritten Digits, UCI)",
        source="scikit-learn's bundled digits, coloured; digits by Alpaydin and Kaynak",
    )

    def __post_init__(self) -> None:
        self._check_number("train_correlation", 0, 1)
        self._check_number("ood_correlation", 0, 1)
        self._check_count("copies")

    def build(self, seed: int) -> Parts:
        """Draw the split, places and colours."""
        drawn = make_coloured_digits(
            train_correlation=self.train_correlation,
            ood_correlation=self.ood_correlation,
            copies=self.copies,
            seed=seed,
        )
        drawn["id"] = drawn["test"]
        drawn["test"] = ColouredDigits(*map(np.concatenate, zip(drawn["id"], drawn["ood"], strict=True)))
        return {name: self._dataset(drawn[name]) for name in ("train", "val", "val_balanced", "test", "id", "ood")}

    def _dataset(self, part: ColouredDigits) -> GroupedDataset:
        groups = np.array(GROUP_NAMES)[part.groups]
        return GroupedDataset(part.X, part.y, {"colour": part.colour}, groups, label="digit", source=self.name)
