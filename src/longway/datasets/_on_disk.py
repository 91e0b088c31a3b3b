"""The base of benchmarks whose images or texts lie in a folder of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from longway.data.dataset import GroupedDataset
from longway.data.file_formats import open_source
from longway.data.table import Source
from longway.datasets._base import Benchmark, Parts
from longway.datasets._files import content_hash, find, missing
from longway.datasets._sampling import equal_groups, induced, pair_names
from longway.utils.errors import LongwayError
from longway.utils.storage import hash_json


@dataclass(frozen=True, kw_only=True)
class MemmapRef(Benchmark):
    """A benchmark in a folder with its official layout.

    Parameters
    ----------
    folder : str, optional
        Where it is; by default below ``$LONGWAY_DATA`` or Longway's cache, under one of its usual names.
    backbone : str, optional
        As for `longway.backbones.load_backbone`: embeds the inputs, once for all seeds; X is float16, (n, d).
    """

    folder: str | None = None
    backbone: str | None = None

    places: ClassVar[tuple[str, ...]]
    """Its usual names."""

    def __post_init__(self) -> None:
        self._check_text("folder")
        self._check_text("backbone")
        if self.backbone is not None:
            path, _, function = self.backbone.rpartition(":")
            if not path or not function.isidentifier():
                raise self._refuse("backbone", "path/to/file.py:function")

    @property
    def root(self) -> Path:
        """The location of the raw data.

        Raises
        ------
        LongwayError
            It is nowhere.
        """
        if self.folder is not None:
            path = Path(self.folder).expanduser()
            if not path.exists():
                raise LongwayError(f"folder={self.folder!r} of benchmark {self.name} does not exist: check the path")
            return path
        found = find(*self.places)
        if found is None:
            raise missing(
                self.card.title, self.places, obtain=f"{self.card.obtain.rstrip('.')}; or name it with folder="
            )
        return found

    def raw_fingerprint(self) -> str:
        """Return a hash of the files that define the data, and of the backbone."""
        about = hash_json(self._described())
        return about if self.backbone is None else hash_json([about, self._loaded_fingerprint()])

    def _described(self) -> object:
        """Return the identity of the raw data, without images, which would take minutes to read."""
        return [content_hash(self._table_path())]

    def _metadata(self, root: Path) -> Path:
        """Return the path of the table that describes the samples: the root itself if it is a file."""
        return root

    def _open(self) -> Source:
        """Open this table."""
        path = self._table_path()
        return replace(open_source(path), root=path.parent)

    def _table_path(self) -> Path:
        path = self._metadata(self.root)
        if not path.is_file():
            raise LongwayError(f"{self.card.title}: {path.parent} has no {path.name}; is it the right folder?")
        return path

    def _transform(self) -> dict[str, Any]:
        """Return the options of the backbone's transform."""
        return {}

    def _loaded_fingerprint(self) -> str:
        from longway.backbones import load_backbone

        assert self.backbone is not None
        return load_backbone(self.backbone, device="cpu", **self._transform()).fingerprint

    def _taken(self, data: GroupedDataset, rows: Mapping[str, np.ndarray]) -> Parts:
        """Select the samples of each part, in the form that the options request."""
        from longway.backbones.preprocessing import prepare_inputs

        data = replace(data, source=self.name, table=None)
        if self.backbone is not None:  # all rows and no labels, so that one cache serves every seed and label
            inputs = GroupedDataset(data.X, source=data.source, ids=data.ids)
            embedded, _ = prepare_inputs(inputs, backbone=self.backbone, verbose=0, **self._transform())
            data = replace(data, X=embedded.X)
        elif self._transform().get("size") is not None:  # only what some part needs
            used = np.unique(np.concatenate(list(rows.values())))
            data, _ = prepare_inputs(data.take(used), size=self._transform()["size"], verbose=0)
            rows = {name: np.searchsorted(used, chosen) for name, chosen in rows.items()}
        return {name: data.take(chosen) for name, chosen in rows.items()}


@dataclass(frozen=True, kw_only=True)
class ImagesOnDisk(MemmapRef):
    """A benchmark of images in a folder.

    Parameters
    ----------
    size : int, optional
        Side in pixels that images are resized to, for the backbone if one is named; X is uint8, (n, 3, size, size).
        None leaves a backbone its own size; without one, the images stay on disk until they are read.
    mean, std : float or (float, float, float), optional
        Of the backbone's transform; its own by default.
    """

    size: int | None = None
    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_count("size", optional=True)
        for option in ("mean", "std"):
            if getattr(self, option) is not None and self.backbone is None:
                raise LongwayError(f"{option}= of benchmark {self.name} is for a backbone: name one, or leave it out")

    def _transform(self) -> dict[str, Any]:
        return {"size": self.size, "mean": self.mean, "std": self.std}


@dataclass(frozen=True, kw_only=True)
class PairedImages(ImagesOnDisk):
    """A benchmark of images with two classes and a binary attribute.

    Parameters
    ----------
    correlation : float, optional
        Share of each class in which the attribute agrees with the label, in train and val; other rows are left out at
        random. 1 is the majority-only protocol, without a contradicting sample. None takes the data as they are.
    agreeing : {"auto", "same", "opposite"}, default "auto"
        Which attribute agrees with class 1: value 1 ("same"), value 0, or the one that occurs with it more often in all
        of the data.
    balanced_test : bool, optional
        Whether test has as many rows of each group as its smallest group; by default where a correlation is set.
    """

    correlation: float | None = None
    agreeing: str = "auto"
    balanced_test: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_number("correlation", 0, 1, optional=True)
        self._check_choice("agreeing", ("auto", "same", "opposite"))
        self._check_choice("balanced_test", (None, True, False))

    def _parts(
        self, data: GroupedDataset, attribute: str, split: np.ndarray, names: Sequence[Sequence[str]], seed: int
    ) -> Parts:
        """Build the parts from binary labels and attributes, each (n,), and a split (n,) by name."""
        y, s = np.asarray(data.y), data.attributes[attribute]
        for name, values in {"label": y, attribute: s}.items():
            if not set(np.unique(values).tolist()) <= {0, 1}:
                raise LongwayError(f"{self.card.title}: {name!r} of {data.source} must be 0 or 1 in every row")
        data = replace(data, groups=pair_names(y, s, *names))
        generator = np.random.default_rng(seed)
        rows = {name: np.flatnonzero(split == name) for name in ("train", "val", "test")}
        for name, found in rows.items():
            if len(found) == 0:
                raise LongwayError(f"{self.card.title}: no row of {data.source} is in the part {name!r}")
        rows["val_balanced"] = rows["val"][equal_groups(2 * y[rows["val"]] + s[rows["val"]], 4, generator)]
        if self.correlation is not None:
            agrees = (y == s) == self._same(y, s)
            for name in ("train", "val"):
                here = rows[name]
                rows[name] = here[induced(y[here], agrees[here], self.correlation, generator)]
        if self.balanced_test or (self.balanced_test is None and self.correlation is not None):
            codes = 2 * y[rows["test"]] + s[rows["test"]]
            rows["test"] = rows["test"][equal_groups(codes, 4, generator)]
        for name in [name for name, found in rows.items() if len(found) == 0]:
            if name != "val_balanced":
                raise LongwayError(
                    f"{self.card.title}: nothing is left in the part {name!r}, as one of its groups is empty; choose "
                    "another correlation=, or balanced_test=False"
                )
            del rows[name]
        return self._taken(data, rows)

    def _same(self, y: np.ndarray, s: np.ndarray) -> bool:
        """Return whether value 1 agrees with class 1."""
        if self.agreeing != "auto":
            return self.agreeing == "same"
        counts = np.bincount(2 * y + s, minlength=4).astype(float)
        return bool(counts[0] * counts[3] >= counts[1] * counts[2])
