"""The form in which all of Longway uses a user's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from longway.data.splits import PARTS, part_name
from longway.utils.errors import LongwayError, nearest
from longway.utils.storage import hash_array, hash_json, scratch_array

if TYPE_CHECKING:
    from longway.data.lazy_columns import LazyColumn
    from longway.data.table import Table

Kind = Literal["features", "images", "texts"]


@dataclass(frozen=True, eq=False, repr=False)
class GroupedDataset:
    """Inputs with labels, spurious attributes, groups and split, one sample per row.

    Parameters
    ----------
    X : ndarray or LazyColumn
        Features (n, d); images (n, c, h, w), float in [0, 1]; or a column of images or texts that stays on disk.
        May be a memmap.
    y : ndarray of shape (n,), optional
        Labels as read, strings or integers. None where they are not known.
    attributes : mapping of str to ndarray of shape (n,), optional
        Spurious attributes by name, such as a background.
    groups : ndarray of str of shape (n,), optional
        Name of each row's group. If not given, each combination of label and attributes is a group, named as in
        ``"Smiling=1, Male=0"``; without attributes (or labels) there are none.
    split : ndarray of str of shape (n,), optional
        "train", "val" or "test".
    label : str, optional
        Name of the label.
    source : str, default "memory"
        Where the data come from.
    ids : ndarray of shape (n,), optional
        What names a row in the source: a row number (the default) or a file's name.
    inputs : tuple of str
        The columns that X is made of, where it is made of columns: what to ask for when reading data to predict.
    table : Table, optional
        All other columns of the source, so that a feature cache can keep them.

    Raises
    ------
    LongwayError
        Something has another length than X.

    Examples
    --------
    >>> import numpy as np
    >>> data = GroupedDataset(np.zeros((3, 2)), np.array(["cow", "cow", "camel"]), label="animal",
    ...                       attributes={"place": np.array(["grass", "sand", "sand"])},
    ...                       split=np.array(["train", "train", "test"]))
    >>> data
    GroupedDataset(3 features, label='animal', 3 groups, train 2, test 1, source='memory')
    >>> data.part("train").groups.tolist()
    ['animal=cow, place=grass', 'animal=cow, place=sand']
    """

    X: np.ndarray | LazyColumn
    y: np.ndarray | None = None
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: np.ndarray | None = None
    split: np.ndarray | None = None
    label: str | None = None
    source: str = "memory"
    ids: np.ndarray = None  # type: ignore[assignment]
    inputs: tuple[str, ...] = ()
    table: Table | None = None

    def __post_init__(self) -> None:
        n = len(self.X)
        if self.ids is None:
            object.__setattr__(self, "ids", np.arange(n))
        columns = {"y": self.y, "groups": self.groups, "split": self.split, "ids": self.ids, "table": self.table}
        for name, values in {**columns, **self.attributes}.items():
            if values is not None and len(values) != n:
                raise LongwayError(f"{name!r} has {len(values)} rows but X has {n}: give one value for each row of X")
        if self.groups is None and self.y is not None and self.attributes:
            object.__setattr__(self, "groups", name_groups({self.label or "label": self.y, **self.attributes}))

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        about = [f"{len(self)} {self.kind}"]
        if self.label is not None:
            about.append(f"label={self.label!r}")
        if self.groups is not None:
            about.append(f"{len(np.unique(self.groups))} groups")
        if self.split is not None:
            about += [f"{name} {count}" for name, count in self.parts.items()]
        return f"GroupedDataset({', '.join(about)}, source={self.source!r})"

    @property
    def kind(self) -> Kind:
        """The kind of X: "features", "images" or "texts"."""
        if isinstance(self.X, np.ndarray):
            return "images" if self.X.ndim == 4 else "features"
        return self.X.kind

    @property
    def parts(self) -> dict[str, int]:
        """Number of rows in each part of the split, in the order train, val, test; empty without a split."""
        if self.split is None:
            return {}
        names, counts = np.unique(self.split, return_counts=True)
        found = dict(zip(names.tolist(), counts.tolist(), strict=True))
        return {name: found[name] for name in [*PARTS, *found] if name in found}

    @cached_property
    def input_fingerprint(self) -> str:
        """Content hash of the inputs alone, computed in chunks."""
        return hash_array(self.X) if isinstance(self.X, np.ndarray) else self.X.content_hash()

    @cached_property
    def fingerprint(self) -> str:
        """Content hash of inputs, labels, attributes, groups and split, independent of their source."""
        arrays = {"y": self.y, "groups": self.groups, "split": self.split}
        arrays |= {f"attribute {name}": values for name, values in self.attributes.items()}
        hashes = {name: None if values is None else hash_array(np.asarray(values)) for name, values in arrays.items()}
        return hash_json({"X": self.input_fingerprint, **hashes})

    def part(self, name: str) -> GroupedDataset:
        """Return the samples of one part of the split: "train", "val" (or "validation", for example) or "test".

        Raises
        ------
        LongwayError
            There is no split, no part of that name, or no row in it.
        """
        if self.split is None:
            raise LongwayError(f"{self.source} has no split: name its column with split=, or ask for a split_by= one")
        wanted = part_name(name)
        if wanted is None:
            raise LongwayError(f"there is no part {name!r} in a split; {nearest(name, PARTS)}")
        rows = np.flatnonzero(self.split == wanted)
        if len(rows) == 0:
            raise LongwayError(
                f"no row of {self.source} is in the part {wanted!r} (it has {', '.join(self.parts) or 'no rows'}): "
                "choose another split or other fractions"
            )
        return self.take(rows)

    def take(self, indices: Sequence[int] | np.ndarray) -> GroupedDataset:
        """Return the samples at these positions, in this order; data on disk stay on disk.

        Parameters
        ----------
        indices : sequence of int, or ndarray of bool of shape (n,)
            Positions, or a mask.
        """
        where = np.asarray(indices)
        where = np.flatnonzero(where) if where.dtype == bool else where.astype(np.int64)

        def of(values: Any) -> Any:
            return None if values is None else np.asarray(values)[where]

        return replace(
            self,
            X=take_rows(self.X, where) if isinstance(self.X, np.ndarray) else self.X.take(where),
            y=of(self.y),
            attributes={name: of(values) for name, values in self.attributes.items()},
            groups=of(self.groups),
            split=of(self.split),
            ids=of(self.ids),
            table=None if self.table is None else self.table.take(where),
        )


def take_rows(X: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Take rows of an array of any size: adjacent rows as a view, large selections in a scratch file."""
    if len(where) and np.array_equal(where, np.arange(where[0], where[0] + len(where))):
        return X[where[0] : where[-1] + 1]
    if not isinstance(X, np.memmap):
        return X[where]
    out = scratch_array((len(where), *X.shape[1:]), X.dtype)
    for start in range(0, len(where), 4096):
        out[start : start + 4096] = X[where[start : start + 4096]]
    return out


def name_groups(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Name the group of each sample after its values in all columns.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (n,)
        Label and attributes, by name.

    Returns
    -------
    ndarray of str of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> name_groups({"bird": np.array([0, 1]), "place": np.array(["land", "sea"])}).tolist()
    ['bird=0, place=land', 'bird=1, place=sea']
    """
    rows: list[list[str]] = []
    codes = np.zeros(1, dtype=np.int64)
    for name, values in columns.items():
        found, inverse = np.unique(values, return_inverse=True)
        rows.append([f"{name}={value}" for value in found])
        codes = codes * len(found) + inverse
    used, position = np.unique(codes, return_inverse=True)
    names = []
    for code in used.tolist():
        words = []
        for options in reversed(rows):
            code, digit = divmod(code, len(options))
            words.append(options[digit])
        names.append(", ".join(reversed(words)))
    return np.array(names, dtype=str)[position]
