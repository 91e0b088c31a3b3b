"""Write the sides of candidate signals to a file, and read them back as groups for a fit."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from longway.auditing.result import Audit
from longway.data import GroupedDataset
from longway.data.dataset import name_groups
from longway.utils.errors import LongwayError, nearest
from longway.utils.spreadsheet import cell, plain
from longway.utils.storage import atomic_file

FILE = "sides.csv"
UNSURE = "unsure"
SIDES = np.array(["usual", "contradicting", UNSURE])
"""The side of most samples of the class, the other side, or probably misassigned."""


def write_sides(audit: Audit, ids: np.ndarray, folder: Path, *, escape_formulas: bool = False) -> None:
    """Write the side of each candidate on which every audited sample lies.

    Parameters
    ----------
    audit : Audit
    ids : ndarray of shape (n_given,)
        Of all samples that were given.
    folder : Path
        Gets ``sides.csv``: a column ``id``, and one per candidate.
    escape_formulas : bool, default False
        Write an apostrophe before ids and names that a spreadsheet would run as formulas; `group_by_sides` drops it.
    """
    assert audit.rows is not None
    columns = [
        SIDES[np.where(each.confident, each.side, 2)]
        for each in audit.candidates
        if each.side is not None and each.confident is not None
    ]
    with atomic_file(folder / FILE, "w") as file:
        lines = csv.writer(file)
        word = cell if escape_formulas else (lambda value: value)
        lines.writerow(["id", *(word(each.name) for each in audit.candidates)])
        lines.writerows(zip(map(word, ids[audit.rows].tolist()), *(column.tolist() for column in columns), strict=True))


def group_by_sides(data: GroupedDataset, folder: Path, names: Sequence[str]) -> GroupedDataset:
    """Return the samples that an audit is confident about, with groups that treat signals as shortcuts.

    Parameters
    ----------
    data : GroupedDataset
        Labelled. Existing groups are divided further.
    folder : Path
        Holds the ``sides.csv`` that an audit of the same data wrote.
    names : sequence of str
        Candidates of that audit.

    Raises
    ------
    LongwayError
        The file is missing or damaged, lacks a signal, or names none of the samples.
    """
    path = folder / FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise LongwayError(f"{path} cannot be read: {error}; run `longway audit` on the data first") from error
    header = [plain(name) for name in header]
    for name in names:
        if name not in header[1:]:
            raise LongwayError(f"{path} has no signal {name!r}; {nearest(name, header[1:])}")
    places = [header.index(name) for name in names]
    if any(len(line) != len(header) for line in lines):
        raise LongwayError(f"{path} has lines of different lengths: audit the data again")
    sides = {plain(line[0]): [line[place] for place in places] for line in lines}
    ids = [str(each) for each in data.ids]
    if not any(each in sides for each in ids):
        raise LongwayError(f"{path} names no row of {data.source}: audit these data, with --part all")
    confident = np.array([each in sides and UNSURE not in sides[each] for each in ids])
    found = data.take(confident)
    table = np.array([sides[each] for each, known in zip(ids, confident, strict=True) if known])
    columns = dict(zip(names, table.T, strict=True))
    before = {"group": found.groups} if found.groups is not None else {data.label or "label": np.asarray(found.y)}
    return replace(found, attributes={**found.attributes, **columns}, groups=name_groups({**before, **columns}))
