"""Camelyon17-WILDS: tumour in patches of lymph nodes from five hospitals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.data.lazy_columns import ImageColumn
from longway.datasets._base import Card, Parts
from longway.datasets._on_disk import ImagesOnDisk

VAL_HOSPITAL, TEST_HOSPITAL = 1, 2
"""Hospitals (``center``) that are absent from train."""


@dataclass(frozen=True, kw_only=True)
class Camelyon17(ImagesOnDisk):
    """Camelyon17, in the layout of WILDS: camelyon17_v1.0/metadata.csv and patches/.

    Parameters
    ----------
    folder, backbone, size, mean, std
        As in ImagesOnDisk. The split is that of WILDS; the seed draws nothing.

    Notes
    -----
    Parts: train and val (the same three hospitals), val_ood and test (a hospital of its own each).
    """

    name: ClassVar[str] = "camelyon17"
    places: ClassVar[tuple[str, ...]] = ("camelyon17_v1.0", "camelyon17")
    card: ClassVar[Card] = Card(
        title="Camelyon17-WILDS",
        core="tumour tissue in the centre of the patch",
        shortcut="the hospital's staining and scanner",
        licence="CC0 1.0",
        source="Bandi et al., From Detection of Individual Metastases to Classification of Lymph Node Status at the "
        "Patient Level, 2018; Koh et al., WILDS, 2021",
        obtain="Download camelyon17 v1.0 with the wilds package, https://wilds.stanford.edu/downloads.",
        metric=("test", "average"),
    )

    def build(self, seed: int) -> Parts:
        """Read the metadata."""
        import datasets

        opened = self._open()
        columns = ("tumor", "center", "split", "patient", "node", "x_coord", "y_coord")
        y, hospital, split, patient, node, left, top = (
            opened.table.values(name, "metadata", opened.name) for name in columns
        )
        places = zip(patient.astype(int).tolist(), node.tolist(), left.tolist(), top.tolist(), strict=True)
        files = [_PATCH.format(*place) for place in places]
        own = (hospital != VAL_HOSPITAL) & (hospital != TEST_HOSPITAL)
        rows = {
            "train": own & (split == 0),
            "val": own & (split == 1),
            "val_ood": hospital == VAL_HOSPITAL,
            "test": hospital == TEST_HOSPITAL,
        }
        ids = np.array(files)
        X = ImageColumn(datasets.Dataset.from_dict({"image": files}), "image", opened.name, ids, opened.root)
        groups = np.char.add(np.array(["normal", "tumour"])[y], np.char.add(", hospital ", hospital.astype(str)))
        data = GroupedDataset(X, y, {"hospital": hospital}, groups, label="tumour", source=opened.name, ids=ids)
        return self._taken(data, {name: np.flatnonzero(found) for name, found in rows.items()})

    def _metadata(self, root: Path) -> Path:
        return root / "metadata.csv"


_PATCH = "patches/patient_{0:03d}_node_{1}/patch_patient_{0:03d}_node_{1}_x_{2}_y_{3}.png"
