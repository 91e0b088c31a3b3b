"""MetaShift's cats and dogs, indoors and outdoors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.data.file_formats import IMAGE_SUFFIXES
from longway.data.lazy_columns import ImageColumn
from longway.data.splits import part_name, random_split
from longway.datasets._base import Card, Parts
from longway.datasets._on_disk import PairedImages
from longway.datasets._sampling import pair_names
from longway.utils.errors import LongwayError

_ANIMALS, _PLACES = ("cat", "dog"), ("indoor", "outdoor")


@dataclass(frozen=True, kw_only=True)
class MetaShift(PairedImages):
    """Cats and dogs, in folders such as train/cat/cat(indoor)/ or cat/indoor/.

    Parameters
    ----------
    folder, backbone, size, mean, std, correlation, agreeing, balanced_test
        As in PairedImages. Folders train/, val/ and test/ are the split. Without val/, the seed takes a fifth of each
        group of train/ for it; without any, it splits 60/20/20.
    """

    name: ClassVar[str] = "metashift"
    places: ClassVar[tuple[str, ...]] = ("MetaShift-Cat-Dog-indoor-outdoor", "metashift")
    card: ClassVar[Card] = Card(
        title="MetaShift, cats and dogs",
        core="animal: cat or dog",
        shortcut="place: indoors or outdoors",
        licence="that of MetaShift and of Visual Genome, whose pictures it holds",
        source="Liang and Zou, MetaShift, 2022",
        obtain="Make the folder MetaShift-Cat-Dog-indoor-outdoor with https://github.com/Weixin-Liang/MetaShift.",
    )

    def build(self, seed: int) -> Parts:
        """Sort the files by their folders and draw the split and the subsamples."""
        import datasets

        root, files = self.root, self._files()
        words = [_words(name) for name in files]
        y, s = (np.array([_one(found, known) for found in words], np.int64) for known in (_ANIMALS, _PLACES))
        split = _split(files, pair_names(y, s, _ANIMALS, _PLACES), seed)
        ids = np.array(files)
        X = ImageColumn(datasets.Dataset.from_dict({"image": files}), "image", str(root), ids, root)
        data = GroupedDataset(X, y, {"place": s}, label="animal", source=str(root), ids=ids)
        return self._parts(data, "place", split, (_ANIMALS, _PLACES), seed)

    def _described(self) -> object:
        root = self.root
        return [[name, (root / name).stat().st_size] for name in self._files()]

    def _files(self) -> list[str]:
        """Return the images whose folders say both animal and place, by name."""
        root = self.root
        names = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        files = sorted(name for name in names if _is_placed(name))
        if not files:
            raise LongwayError(
                f"MetaShift: {root} has no images in folders such as train/cat/cat(indoor); is it the one?"
            )
        return files


def _words(name: str) -> set[str]:
    """Return the words in the names of a file's folders."""
    return set(re.findall(r"[a-z]+", name.rpartition("/")[0].lower()))


def _one(words: set[str], known: tuple[str, str]) -> int | None:
    """Return the position of the only known word among these, its plural included."""
    found = [k for k, word in enumerate(known) if words & {word, f"{word}s"}]
    return found[0] if len(found) == 1 else None


def _is_placed(name: str) -> bool:
    words = _words(name)
    return _one(words, _ANIMALS) is not None and _one(words, _PLACES) is not None


def _split(files: list[str], groups: np.ndarray, seed: int) -> np.ndarray:
    """Take the split from the first folder; what is missing of it is drawn within each group."""
    parts = [part_name(name.partition("/")[0]) for name in files]
    if None in parts:
        return random_split(groups, (0.6, 0.2, 0.2), seed)
    split = np.array([str(part) for part in parts], dtype="<U5")
    if "val" not in parts:
        train = np.flatnonzero(split == "train")
        split[train] = random_split(groups[train], (0.8, 0.2, 0), seed)
    return split
