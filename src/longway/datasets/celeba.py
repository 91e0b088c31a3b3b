"""CelebA faces: any of its 40 attributes as the label, any other as the shortcut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.data.file_formats import open_source
from longway.data.lazy_columns import ImageColumn
from longway.data.splits import hashed_split, named_split
from longway.datasets._base import Card, Parts
from longway.datasets._files import content_hash, verified
from longway.datasets._on_disk import PairedImages
from longway.utils.errors import CorruptFileError, LongwayError

if TYPE_CHECKING:
    import pandas as pd

# fmt: off
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes",
    "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling",
    "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
)
# fmt: on
FRACTIONS = (0.6, 0.2, 0.2)
"""Fractions of the identities in train, val and test, if the split is by identity."""


@dataclass(frozen=True, kw_only=True)
class CelebA(PairedImages):
    """CelebA.

    Parameters
    ----------
    folder
        The folder with img_align_celeba/, list_attr_celeba.txt (or .csv), identity_CelebA.txt and, for the official
        split, list_eval_partition.txt (or .csv); or a Parquet file with the columns image, identity and the attributes.
    backbone, size, mean, std, correlation, agreeing, balanced_test
        As in PairedImages; size is 64 by default.
    label, attribute : str, default "Blond_Hair" and "Male"
        Two of the 40 attributes.
    split : {"identity", "official"}, default "identity"
        By the seed, no person in two parts; or the one of list_eval_partition, where the seed draws subsamples only.
    """

    size: int | None = 64
    label: str = "Blond_Hair"
    attribute: str = "Male"
    split: str = "identity"

    name: ClassVar[str] = "celeba"
    places: ClassVar[tuple[str, ...]] = ("celeba", "CelebA", "celeba_10k_64px.parquet")
    card: ClassVar[Card] = Card(
        title="CelebA",
        core="an attribute of the face, such as the colour of the hair",
        shortcut="another one, such as the gender",
        licence="non-commercial research only",
        source="Liu et al., Deep Learning Face Attributes in the Wild, 2015",
        obtain="Get img_align_celeba, list_attr_celeba.txt, identity_CelebA.txt and list_eval_partition.txt from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html into a folder celeba.",
        files={"celeba_10k_64px.parquet": "bbc2e7dd31c4d1418accc2d6a441de5a9489b1e1"},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("label", ATTRIBUTES)
        self._check_choice("attribute", ATTRIBUTES)
        if self.label == self.attribute:
            raise LongwayError(f"attribute={self.attribute!r} of benchmark {self.name} is the label: choose another")
        self._check_choice("split", ("identity", "official"))

    def build(self, seed: int) -> Parts:
        """Draw the split by identity, and the subsamples."""
        root = self.root
        data, identity, official = self._from_parquet(root) if root.is_file() else self._from_folder(root)
        if self.split == "official":
            if official is None:
                raise LongwayError(f"split='official' of benchmark {self.name}: {root} has no list_eval_partition")
            split = named_split(official, "list_eval_partition")
        elif identity is None:
            raise LongwayError(f"CelebA: {root} has no identity_CelebA.txt; get it, or choose split='official'")
        else:
            split = hashed_split(identity, FRACTIONS, seed)
        names = [[f"{name}={value}" for value in (0, 1)] for name in (self.label, self.attribute)]
        return self._parts(data, self.attribute, split, names, seed)

    def _described(self) -> object:
        root = self.root
        files = [root] if root.is_file() else [path for stem in _STEMS if (path := _table(root, stem)) is not None]
        return [content_hash(path) for path in files]

    def _from_parquet(self, path: Path) -> tuple[GroupedDataset, np.ndarray | None, np.ndarray | None]:
        opened = open_source(verified(path, self.card.files.get(path.name, "")))
        y, s = (_binary(opened.table.values(name, "attribute", opened.name)) for name in (self.label, self.attribute))
        opened.table.check("image", "input", opened.name)
        identity = opened.table.values("identity", "split_by", opened.name)
        X = ImageColumn(opened.table.rows, "image", opened.name)
        return GroupedDataset(X, y, {self.attribute: s}, label=self.label, source=opened.name), identity, None

    def _from_folder(self, root: Path) -> tuple[GroupedDataset, np.ndarray | None, np.ndarray | None]:
        import datasets

        path = _table(root, "list_attr_celeba")
        if path is None:
            raise LongwayError(f"CelebA: {root} has no list_attr_celeba.txt or .csv; is it the right folder?")
        table = _read(path)
        for name in (self.label, self.attribute):
            if name not in table.columns:
                raise CorruptFileError(f"{path} has no column {name!r}: get it again")
        y, s = (_binary(table[name].to_numpy(np.int64)) for name in (self.label, self.attribute))
        inner = root / "img_align_celeba" / "img_align_celeba"
        images = inner if inner.is_dir() else root / "img_align_celeba"
        ids = table.index.to_numpy(str)
        X = ImageColumn(datasets.Dataset.from_dict({"image": ids}), "image", str(root), ids, images)
        data = GroupedDataset(X, y, {self.attribute: s}, label=self.label, source=str(root), ids=ids)
        return data, _column(root, "identity_CelebA", table), _column(root, "list_eval_partition", table)


_STEMS = ("list_attr_celeba", "identity_CelebA", "list_eval_partition")


def _table(root: Path, stem: str) -> Path | None:
    paths = (root / f"{stem}{end}" for end in (".txt", ".csv"))
    return next((path for path in paths if path.is_file()), None)


def _read(path: Path) -> pd.DataFrame:
    """Read a table whose first column names the image; text files start with the number of rows."""
    import pandas as pd

    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, index_col=0)
        if path.stem == "list_attr_celeba":
            return pd.read_csv(path, sep=r"\s+", skiprows=1)  # one name less than columns: the first is the index
        return pd.read_csv(path, sep=r"\s+", header=None, index_col=0)
    except (ValueError, pd.errors.ParserError) as error:
        raise CorruptFileError(f"{path} cannot be read ({error}): get it again") from error


def _column(root: Path, stem: str, rows: pd.DataFrame) -> np.ndarray | None:
    """Read the only column of a table, in the row order of another."""
    path = _table(root, stem)
    if path is None:
        return None
    found = _read(path).iloc[:, 0].reindex(rows.index)
    if found.isna().any():
        raise CorruptFileError(f"{path} lacks the image {found.index[found.isna()][0]}: get it again")
    return found.to_numpy(np.int64)


def _binary(values: np.ndarray) -> np.ndarray:
    """Convert -1 and 1, or 0 and 1, to 0 and 1."""
    return (values > 0).astype(np.int64)
