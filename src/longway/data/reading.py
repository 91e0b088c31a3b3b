"""Reader of user data: one function for every kind of source."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from longway.data.columns import choose_input
from longway.data.dataset import GroupedDataset, name_groups
from longway.data.file_formats import open_source
from longway.data.image_folders import IMAGE, warn_left_out
from longway.data.lazy_columns import ImageColumn
from longway.data.splits import PARTS, hashed_split, named_split, random_split
from longway.data.table import ROW_ID, Source
from longway.utils.errors import LongwayError, LongwayWarning


def read(
    source: str | Path,
    *,
    input: str | Sequence[str] | None = None,
    label: str | None = None,
    attributes: str | Sequence[str] = (),
    group: str | None = None,
    split: str | None = None,
    split_by: str | None = None,
    fractions: Sequence[float] | None = (0.6, 0.2, 0.2),
    seed: int = 0,
    limit: int | None = None,
    hf_config: str | None = None,
    hf_split: str | None = None,
    labelled: bool = True,
    allow_outside: bool = False,
) -> GroupedDataset:
    """Read data from a file, a folder or the Hugging Face Hub.

    Parameters
    ----------
    source : str or Path
        A folder of images with a ``metadata.csv`` or with classes as sub-folders; a CSV, TSV or Parquet file, or a
        folder of them; an npz file; a feature cache made by ``longway embed``; a folder made by
        ``Dataset.save_to_disk``; or the name of a Hugging Face dataset.
    input : str or sequence of str, optional
        The column that holds images (bytes, or names of files next to the table), texts or lists of features, or the
        numeric columns that are the features; globs such as ``"f*"`` welcome. For an npz, the array of inputs.
        Needed only where more than one choice fits; all numeric columns without another role are features.
    label : str, optional
        The column to predict. ``y`` of an npz and the class folders of images need not be named.
    attributes : str or sequence of str
        Columns of spurious attributes, such as the background. Each combination of label and attributes is a group.
    group : str, optional
        A column that names the groups, instead of the attributes.
    split : str, optional
        A column that says which rows are train, val and test (or 0, 1, 2). Folders train/, val/ and test/ and the
        splits of a Hugging Face dataset need not be named.
    split_by : str, optional
        A column, such as a person's identity, whose values must not be in two parts. Each value's part is decided by
        its hash, so that it stays the same when the data grow.
    fractions : (float, float, float), optional
        Shares of train, val and test where no column holds the split; without ``split_by`` it is random within each
        group. None makes up no split. Where no label is named, none is made up either, unless by ``split_by``.
    seed : int, default 0
        Of the made-up split and of ``limit``.
    limit : int, optional
        Keep this many rows, chosen at random, for a quick look.
    hf_config, hf_split : str, optional
        Configuration and split of a Hugging Face dataset; all its splits are read if none is named.
    labelled : bool, default True
        False reads neither labels nor what depends on them, as to predict: they may be missing.
    allow_outside : bool, default False
        Read images that a table names outside the folder of the data. Allow it only for tables that you trust.

    Returns
    -------
    GroupedDataset

    Warns
    -----
    LongwayWarning
        Rows, files or columns are left out; the message names them. A part that has no labels at all, such as the test
        part of a challenge, is left out; so are files outside class folders.

    Raises
    ------
    LongwayError
        The source, a column or an option cannot be used; the message names it and the way out.
    CorruptFileError
        A file is damaged.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "cows.npz"
    >>> np.savez(file, X=np.eye(6), y=["cow"] * 3 + ["camel"] * 3, place=["grass", "sand", "sand"] * 2)
    >>> read(file, attributes="place")  # doctest: +ELLIPSIS
    GroupedDataset(6 features, label='y', 4 groups, train 4, val 2, source=...cows.npz')
    """
    if split is not None and split_by is not None:
        raise LongwayError("split= and split_by= were both given: choose one")
    if limit is not None and limit < 1:
        raise LongwayError(f"limit={limit} must be at least 1")
    wanted = input if input is None or isinstance(input, str) else [str(name) for name in input]
    array = wanted if wanted is None or isinstance(wanted, str) else wanted[0] if len(wanted) == 1 else None
    opened = open_source(source, input=array, hf_config=hf_config, hf_split=hf_split)
    label = (label or opened.table.label) if labelled else None
    split = split or (opened.table.split if split_by is None else None)
    names = [attributes] if isinstance(attributes, str) else list(attributes)
    if label in names:
        raise LongwayError(f"column {label!r} is named both as label and as attribute: choose another attribute")

    usable = np.ones(len(opened.table), bool)
    if split is not None:
        usable &= named_split(opened.table.values(split, "split", opened.name), split) != ""
    if label is not None:
        label, usable = _without_unlabelled(opened, label, split, usable)
    opened = opened if usable.all() else opened.take(np.flatnonzero(usable))

    def column(name: str, role: str) -> np.ndarray:
        return opened.table.values(name, role, opened.name)

    y = None if label is None else column(label, "label")
    found = {name: column(name, "attribute") for name in names}
    if group is not None:
        groups: np.ndarray | None = column(group, "group").astype(str)
    else:
        groups = name_groups({str(label): y, **found}) if y is not None and found else None
    strata = groups if groups is not None else y
    roles = {str(name) for name in (label, *names, group)}
    parts = _split(opened, split, split_by, fractions, seed, strata, roles)
    named = {name for name in (label, *names, group, split, split_by, opened.table.split) if name is not None}
    X, used = choose_input(opened, wanted, named, allow_outside=allow_outside)
    data = GroupedDataset(
        X=X,
        y=y,
        attributes=found,
        groups=groups,
        split=parts,
        label=label,
        source=opened.name,
        ids=_ids(opened, X),
        inputs=tuple(used),
        table=opened.table.without(used),
    )
    if limit is None or limit >= len(data):
        return data
    return data.take(np.sort(np.random.default_rng(seed).choice(len(data), limit, replace=False)))


def _without_unlabelled(
    source: Source, label: str, split: str | None, usable: np.ndarray
) -> tuple[str | None, np.ndarray]:
    """Leave out parts without any label, and files outside class folders; the label is None if nothing has one."""
    table, own = source.table, label == source.table.label
    missing = table.missing(label, "label", source.name) & usable
    if not missing.any():
        return label, usable
    if own and missing.sum() == usable.sum():
        return None, usable
    if split is not None:
        parts = named_split(table.values(split, "split", source.name), split)
        bare = [part for part in PARTS if (here := usable & (parts == part)).any() and missing[here].all()]
        if bare and "train" not in bare:
            out = usable & np.isin(parts, bare)
            warnings.warn(
                f"{source.name}: the {' and '.join(bare)} part has no label {label!r}: its {out.sum():,} rows are left "
                "out",
                LongwayWarning,
                stacklevel=3,
            )
            usable, missing = usable & ~out, missing & ~out
    if missing.any() and own and label == "label" and table.rows.features[label].dtype == "string":  # class folders
        stray = np.flatnonzero(missing)
        names = table.arrow([IMAGE]).column(0).take(stray[:3]).to_pylist() if IMAGE in table.columns else []
        warn_left_out(source.name, [str(name["path"]) for name in names], len(stray), "are in no class folder")
        usable = usable & ~missing
    return label, usable


def _split(
    source: Source,
    split: str | None,
    split_by: str | None,
    fractions: Sequence[float] | None,
    seed: int,
    strata: np.ndarray | None,
    named: set[str],
) -> np.ndarray | None:
    if split is not None:
        return named_split(source.table.values(split, "split", source.name), split)
    if split_by is not None:
        if fractions is None:
            raise LongwayError(f"split_by={split_by!r} needs fractions= of train, val and test")
        return hashed_split(source.table.values(split_by, "split_by", source.name), fractions, seed)
    if strata is None or fractions is None:
        return None
    if unused := [name for name in source.table.columns if name.strip().lower() == "split" and name not in named]:
        warnings.warn(
            f"{source.name}: column {unused[0]!r} is not used, and a split is drawn: to use it, split={unused[0]!r}",
            LongwayWarning,
            stacklevel=3,
        )
    return random_split(strata, fractions, seed)


def _ids(source: Source, X: object) -> np.ndarray:
    """Name the samples: by the source itself, by image file, else by number."""
    if ROW_ID in source.table.rows.column_names:
        ids = source.table.arrow([ROW_ID]).column(0).to_numpy()
        return ids.astype(str) if ids.dtype == object else ids
    names = X.names() if isinstance(X, ImageColumn) else None
    return np.arange(len(source.table)) if names is None else names
