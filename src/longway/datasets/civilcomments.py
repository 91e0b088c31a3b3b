"""CivilComments-WILDS: toxic comments, correlated with the mention of an identity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.data.splits import PARTS, named_split
from longway.data.table import Source
from longway.datasets._base import Card, Parts
from longway.datasets._on_disk import MemmapRef
from longway.datasets._sampling import equal_groups, pair_names
from longway.datasets._texts import text_column
from longway.utils.errors import LongwayError

IDENTITIES = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white")
LABELS = ("not toxic", "toxic")


@dataclass(frozen=True, kw_only=True)
class CivilComments(MemmapRef):
    """CivilComments, in the layout of WILDS: all_data_with_identities.csv.

    Parameters
    ----------
    folder, backbone
        As in MemmapRef. The split is that of WILDS; the seed draws val_balanced.

    Notes
    -----
    A comment is toxic, and mentions an identity, where at least half of its readers say so. ``groups`` are the four of
    label and any mention, which are disjoint; the identities are attributes and overlap: `identity_groups` makes the
    sixteen groups that the field evaluates on.
    """

    name: ClassVar[str] = "civilcomments"
    places: ClassVar[tuple[str, ...]] = ("civilcomments_v1.0", "civilcomments")
    card: ClassVar[Card] = Card(
        title="CivilComments-WILDS",
        core="toxicity of the comment",
        shortcut="mention of an identity, such as a religion",
        licence="CC0 1.0",
        source="Borkan et al., Nuanced Metrics for Measuring Unintended Bias, 2019; Koh et al., WILDS, 2021",
        obtain="Download civilcomments v1.0 with the wilds package, https://wilds.stanford.edu/downloads.",
    )

    def build(self, seed: int) -> Parts:
        """Read the table."""
        opened = self._open()
        y = _at_least_half(opened, "toxicity")
        identities = {name: _at_least_half(opened, name) for name in IDENTITIES}
        split = named_split(opened.table.values("split", "split", opened.name), "split")
        mention = np.max(list(identities.values()), axis=0)
        groups = pair_names(y, mention, LABELS, ("no identity", "identity"))
        X = text_column(opened, ("comment_text",))
        data = GroupedDataset(X, y, identities, groups, label="toxicity", source=opened.name)
        rows = {name: np.flatnonzero(split == name) for name in PARTS}
        codes = (2 * y + mention)[rows["val"]]
        balanced = rows["val"][equal_groups(codes, 4, np.random.default_rng(seed))]
        if len(balanced):
            rows["val_balanced"] = balanced
        return self._taken(data, rows)

    def _metadata(self, root: Path) -> Path:
        return root / "all_data_with_identities.csv"


def identity_groups(part: GroupedDataset) -> tuple[np.ndarray, list[str]]:
    """Return the sixteen overlapping groups of label and mentioned identity.

    Returns
    -------
    member : ndarray of bool of shape (n, 16)
        As `longway.metrics.group_metrics.evaluate_groups` takes it.
    names : list of str
    """
    y = np.asarray(part.y)
    columns, names = [], []
    for label, word in enumerate(LABELS):
        for name in IDENTITIES:
            columns.append((y == label) & (part.attributes[name] == 1))
            names.append(f"{word}, {name}")
    return np.stack(columns, axis=1), names


def _at_least_half(opened: Source, name: str) -> np.ndarray:
    """Read a column of fractions (n,) as 0 and 1; missing values are 0, as nobody was asked."""
    import pyarrow as pa

    opened.table.check(name, "metadata", opened.name)
    column = opened.table.arrow([name]).column(0)
    try:
        shares = column.cast("float64").to_numpy()
    except pa.ArrowException as error:
        raise LongwayError(f"column {name!r} of {opened.name} does not hold numbers: get the file again") from error
    return (shares >= 0.5).astype(np.int64)
