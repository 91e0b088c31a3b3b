"""MultiNLI: whether a sentence follows from another, where negation gives the answer away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.data.splits import PARTS, named_split
from longway.datasets._base import Card, Parts
from longway.datasets._on_disk import MemmapRef
from longway.datasets._sampling import equal_groups, pair_names
from longway.datasets._texts import text_column
from longway.utils.errors import LongwayError

LABELS = ("contradiction", "entailment", "neutral")
"""Meaning of gold_label 0, 1 and 2."""


@dataclass(frozen=True, kw_only=True)
class MultiNLI(MemmapRef):
    """MultiNLI, in the layout of group DRO: metadata_random.csv, here with the sentences themselves.

    Parameters
    ----------
    folder, backbone
        As in MemmapRef.
    separator : str, default " [SEP] "
        Stands between the two sentences.
    """

    separator: str = " [SEP] "

    name: ClassVar[str] = "multinli"
    places: ClassVar[tuple[str, ...]] = ("multinli", "multinli_1.0")
    card: ClassVar[Card] = Card(
        title="MultiNLI",
        core="whether the second sentence contradicts the first, follows from it, or neither",
        shortcut="a word of negation in the second sentence, correlated with contradiction",
        licence="mostly the Open American National Corpus's, which allows free use; some texts have others",
        source="Williams et al., A Broad-Coverage Challenge Corpus for Sentence Understanding through Inference, 2018; "
        "negation and split by Sagawa et al., 2020",
        obtain="Make multinli/metadata_random.csv with the columns gold_label, sentence2_has_negation and split of "
        "https://github.com/kohpangwei/group_DRO, and sentence1 and sentence2 of MultiNLI.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.separator, str):
            raise self._refuse("separator", "a text")

    def build(self, seed: int) -> Parts:
        """Read the metadata; the seed draws val_balanced."""
        opened = self._open()
        y = opened.table.values("gold_label", "label", opened.name)
        negation = opened.table.values("sentence2_has_negation", "attribute", opened.name)
        split = named_split(opened.table.values("split", "split", opened.name), "split")
        if y.dtype.kind == "U":
            y = np.searchsorted(LABELS, y) if set(y.tolist()) <= set(LABELS) else np.full(len(y), -1)
        if not (set(np.unique(y)) <= {0, 1, 2} and set(np.unique(negation)) <= {0, 1}):
            raise LongwayError(f"{opened.name}: gold_label must be 0, 1 or 2 and sentence2_has_negation 0 or 1")
        X = text_column(opened, ("sentence1", "sentence2"), self.separator)
        groups = pair_names(y, negation, LABELS, ("no negation", "negation"))
        data = GroupedDataset(X, y, {"negation": negation}, groups, label="relation", source=opened.name)
        rows = {name: np.flatnonzero(split == name) for name in PARTS}
        codes = (2 * y + negation)[rows["val"]]
        balanced = rows["val"][equal_groups(codes, 6, np.random.default_rng(seed))]
        if len(balanced):
            rows["val_balanced"] = balanced
        return self._taken(data, rows)

    def _metadata(self, root: Path) -> Path:
        return root / "metadata_random.csv"
