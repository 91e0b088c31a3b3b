"""Waterbirds: birds cut out and pasted before land or water."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from longway.data.dataset import GroupedDataset
from longway.data.lazy_columns import ImageColumn
from longway.data.splits import named_split
from longway.datasets._base import Card, Parts
from longway.datasets._on_disk import PairedImages

_BIRDS, _PLACES = ("landbird", "waterbird"), ("land", "water")
_GROUPS = [f"{bird}, {place}" for bird in _BIRDS for place in _PLACES]


def _counts(*sizes: int) -> dict[str, int]:
    return dict(zip(_GROUPS, sizes, strict=True))


@dataclass(frozen=True, kw_only=True)
class Waterbirds(PairedImages):
    """Waterbirds, in the layout of waterbird_complete95_forest2water2: metadata.csv and the images it names.

    Parameters
    ----------
    folder, backbone, size, mean, std, correlation, agreeing, balanced_test
        As in PairedImages. The split is the data's own; the seed draws subsamples only. ``correlation=1`` with
        ``balanced_test=False`` is SITAR's protocol.
    """

    name: ClassVar[str] = "waterbirds"
    places: ClassVar[tuple[str, ...]] = ("waterbird_complete95_forest2water2", "waterbirds", "waterbirds_v1.0")
    card: ClassVar[Card] = Card(
        title="Waterbirds",
        core="bird: of the land or of the water",
        shortcut="background: land or water",
        licence="that of CUB-200-2011 (non-commercial research) and of Places",
        source="Sagawa et al., Distributionally Robust Neural Networks, 2020; three species are mislabelled",
        obtain="Unpack https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz.",
        counts={
            "train": _counts(3498, 184, 56, 1057),
            "val": _counts(467, 466, 133, 133),
            "test": _counts(2255, 2255, 642, 642),
        },
    )

    def build(self, seed: int) -> Parts:
        """Read the metadata and draw the subsamples."""
        opened = self._open()
        y, place, split = (opened.table.values(name, "metadata", opened.name) for name in ("y", "place", "split"))
        opened.table.check("img_filename", "input", opened.name)
        X = ImageColumn(opened.table.rows, "img_filename", opened.name, root=opened.root)
        data = GroupedDataset(X, y, {"place": place}, label="bird", source=opened.name)
        return self._parts(data, "place", named_split(split, "split"), (_BIRDS, _PLACES), seed)

    def _metadata(self, root: Path) -> Path:
        return root / "metadata.csv"
