"""Records that convert to JSON, and the two basic ones: a number with its interval, and a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np


class Record:
    """A frozen dataclass that converts to JSON field by field, except fields marked ``picture``."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON: arrays become lists, an undefined number becomes None."""
        assert is_dataclass(self)
        return {each.name: plain(getattr(self, each.name)) for each in fields(self) if not each.metadata.get("picture")}


def plain(value: Any) -> Any:
    """Convert a value to JSON types; NaN and infinity become None.

    Examples
    --------
    >>> plain({"a": (np.float32(0.5), float("nan")), 1: np.arange(2)})
    {'a': [0.5, None], '1': [0, 1]}
    """
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


@dataclass(frozen=True)
class Estimate(Record):
    """A number with its interval.

    Parameters
    ----------
    value : float
        NaN if undefined.
    low, high : float
        Ends of the interval, of coverage .95 unless the field that holds this says otherwise.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Example(Record):
    """One sample to look at.

    Parameters
    ----------
    row : int
        Position in the data that were audited.
    id : str
        What names the row in its source: a number or a file's name. Untrusted text.
    label : str
        Untrusted text.
    predicted : str
        What the model says of it, by a model that did not see it where the audit fitted the model. Untrusted text.
    value : float
        Of the axis or column that it is an example of; NaN where there is none.
    """

    row: int
    id: str
    label: str
    predicted: str
    value: float
