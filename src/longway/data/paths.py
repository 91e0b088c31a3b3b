"""File names in tables, which must not lead out of the folder of the data."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from longway.utils.errors import LongwayError


def inside(name: str, where: str) -> str:
    """Return a file's name relative to the folder of its data, with slashes.

    Raises
    ------
    LongwayError
        It leads out of the folder: a table from elsewhere must not read this machine's files.
    """
    plain = os.path.normpath(name.replace("\\", "/"))
    if PurePosixPath(plain).is_absolute() or Path(plain).is_absolute() or PurePosixPath(plain).parts[:1] == ("..",):
        raise LongwayError(
            f"{where} names {name}, which is outside the folder of the data: name files relative to that folder, or "
            "allow it with allow_outside=True (--allow-outside)"
        )
    return plain
