"""Images that cannot be read: how many may be left out, and the warning that lists them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from longway.utils.errors import CorruptFileError, LongwayError, LongwayWarning

LISTED = 20
"""Unreadable images that a warning lists."""


def check_max_skipped(max_skipped: float) -> None:
    """Raise LongwayError unless ``max_skipped`` is a share from 0 to 1."""
    if isinstance(max_skipped, bool) or not isinstance(max_skipped, int | float) or not 0 <= max_skipped <= 1:
        raise LongwayError(f"max_skipped={max_skipped!r} must be a share from 0 to 1")


def check_skipped(reasons: Sequence[str], n: int, max_skipped: float) -> None:
    """Raise CorruptFileError if more than a share of ``n`` images, or all of them, cannot be read."""
    if not reasons or (len(reasons) <= max_skipped * n and len(reasons) < n):
        return
    if len(reasons) == 1 and not max_skipped:
        raise CorruptFileError(reasons[0])
    raise CorruptFileError(
        f"at least {len(reasons)} of {n} images cannot be read, more than max_skipped={max_skipped:g} allows; the "
        f"first: {reasons[0]}"
    )


def warn_skipped(source: str, reasons: Sequence[str], n: int) -> None:
    """Warn of images that are left out, with the reasons."""
    more = f"; and {len(reasons) - LISTED} more" if len(reasons) > LISTED else ""
    warnings.warn(
        f"{source}: {len(reasons)} of {n} images cannot be read and are left out: {'; '.join(reasons[:LISTED])}{more}",
        LongwayWarning,
        stacklevel=3,
    )
