"""The sides of signals as a file: what makes groups of signals that a person has judged to be shortcuts."""

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
from longway.utils.storage import atomic_file

NAME = "sides.csv"
WORDS = np.array(["usual", "contradicting", "unsure"])
"""The side of a row: that of most of its class, the other, or likely misread."""
UNSURE = 2


def write_sides(audit: Audit, ids: np.ndarray, folder: Path) -> None:
    """Write on which side of each candidate every audited row lies.

    Parameters
    ----------
    audit : Audit
    ids : ndarray of shape (n_given,)
        What names a row, of all rows that were given.
    folder : Path
        Gets ``sides.csv``: a column ``id``, and one for each candidate.
    """
    assert audit.rows is not None
    columns = [
        WORDS[np.where(each.confident, each.side, UNSURE)]
        for each in audit.candidates
        if each.side is not None and each.confident is not None
    ]
    with atomic_file(folder / NAME, "w") as file:
        lines = csv.writer(file)
        lines.writerow(["id", *(each.name for each in audit.candidates)])
        lines.writerows(zip(ids[audit.rows].tolist(), *(column.tolist() for column in columns), strict=True))


def with_sides(data: GroupedDataset, folder: Path, names: Sequence[str]) -> GroupedDataset:
    """Return the rows that an audit looked at and is sure of, with groups that treat signals as shortcuts.

    Parameters
    ----------
    data : GroupedDataset
        Labelled. Groups that it has are divided further.
    folder : Path
        Where an audit of the same data wrote ``sides.csv``.
    names : sequence of str
        Candidates of that audit.

    Raises
    ------
    LongwayError
        The file is not there or is damaged, lacks a signal, or names none of the rows.
    """
    path = folder / NAME
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise LongwayError(f"{path} cannot be read: {error}; run `longway audit` on the data first") from error
    for name in names:
        if name not in header[1:]:
            raise LongwayError(f"{path} has no signal {name!r}; {nearest(name, header[1:])}")
    places = [header.index(name) for name in names]
    if any(len(line) != len(header) for line in lines):
        raise LongwayError(f"{path} has lines of different lengths: audit the data again")
    sides = {line[0]: [line[place] for place in places] for line in lines}
    ids = [str(each) for each in data.ids]
    known = np.array([each in sides for each in ids])
    if not known.any():
        raise LongwayError(f"{path} names no row of {data.source}: audit these data, with --part all")
    known &= [WORDS[UNSURE] not in sides.get(each, ()) for each in ids]
    found = data.take(known)
    table = np.array([sides[each] for each, there in zip(ids, known, strict=True) if there])
    columns = dict(zip(names, table.T, strict=True))
    before = {"group": found.groups} if found.groups is not None else {data.label or "label": np.asarray(found.y)}
    return replace(found, attributes={**found.attributes, **columns}, groups=name_groups({**before, **columns}))
