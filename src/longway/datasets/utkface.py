"""UTKFace: faces whose file names tell age, gender and race."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.data.lazy_columns import ImageColumn
from longway.data.splits import random_split
from longway.datasets._base import Card, Parts
from longway.datasets._on_disk import PairedImages
from longway.datasets._sampling import pair_names
from longway.utils.errors import LongwayError

_NAME = re.compile(r"(\d+)_([01])_([0-4])_\d+\.jpg(\.chip\.jpg)?", re.IGNORECASE)
TRAITS = ("gender", "race", "age")


@dataclass(frozen=True, kw_only=True)
class UTKFace(PairedImages):
    """UTKFace, files such as 26_1_2_20170116184024662.jpg.chip.jpg in one or several folders.

    Parameters
    ----------
    folder, backbone, size, mean, std, correlation, agreeing, balanced_test
        As in PairedImages. Without a ``correlation`` the data hold hardly any shortcut.
    label, attribute : {"gender", "race", "age"}, default "gender" and "age"
        Gender is male or female, race white or not, age below ``age_limit`` or not.
    age_limit : int, default 30
        Age in years from which a person counts as old.

    Notes
    -----
    The seed splits 60/20/20 within each group. Files whose names lack a field (there are a few) are left out.
    """

    label: str = "gender"
    attribute: str = "age"
    age_limit: int = 30

    name: ClassVar[str] = "utkface"
    places: ClassVar[tuple[str, ...]] = ("UTKFace", "utkface")
    card: ClassVar[Card] = Card(
        title="UTKFace",
        core="a trait of the face, such as the gender",
        shortcut="another one, such as the age",
        licence="non-commercial research only",
        source="Zhang, Song and Qi, Age Progression/Regression by Conditional Adversarial Autoencoder, 2017",
        obtain="Get the aligned and cropped faces from https://susanqq.github.io/UTKFace.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("label", TRAITS)
        self._check_choice("attribute", TRAITS)
        if self.label == self.attribute:
            raise LongwayError(f"attribute={self.attribute!r} of benchmark {self.name} is the label: choose another")
        self._check_count("age_limit")

    def build(self, seed: int) -> Parts:
        """Read the file names and draw the split and the subsamples."""
        import datasets

        root, files = self.root, self._files()
        matches = [_NAME.fullmatch(name.rpartition("/")[2]) for name in files]
        numbers = np.array([match.groups()[:3] for match in matches if match], np.int64)
        traits = {
            "gender": (numbers[:, 1], ("male", "female")),
            "race": ((numbers[:, 2] > 0).astype(np.int64), ("white", "not white")),
            "age": (
                (numbers[:, 0] >= self.age_limit).astype(np.int64),
                (f"below {self.age_limit}", f"{self.age_limit} or older"),
            ),
        }
        (y, y_names), (s, s_names) = traits[self.label], traits[self.attribute]
        ids = np.array(files)
        X = ImageColumn(datasets.Dataset.from_dict({"image": files}), "image", str(root), ids, root)
        data = GroupedDataset(X, y, {self.attribute: s}, label=self.label, source=str(root), ids=ids)
        split = random_split(pair_names(y, s, y_names, s_names), (0.6, 0.2, 0.2), seed)
        return self._parts(data, self.attribute, split, (y_names, s_names), seed)

    def _described(self) -> object:
        root = self.root
        return [[name, (root / name).stat().st_size] for name in self._files()]

    def _files(self) -> list[str]:
        """Return the images whose names tell all three traits, in order."""
        root = self.root
        files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg") if _NAME.fullmatch(path.name))
        if not files:
            raise LongwayError(f"UTKFace: {root} has no files such as 26_1_2_20170116184024662.jpg.chip.jpg")
        return files
