"""The specification of a trial: everything that its result depends on, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from longway.utils.storage import hash_json

FORMAT = 1
"""Version of specifications and records; part of every key."""


@dataclass(frozen=True)
class DataSpec:
    """The data of a trial: a benchmark with its options, and its preparation before methods see it.

    Parameters
    ----------
    benchmark : str
        Name in the catalogue, or "data" for the user's own.
    options : mapping
        Of the benchmark, the defaults filled in.
    raw : str
        Hash of the raw files.
    version : int
        Of the builder.
    features : mapping, optional
        Parameters of the ERM network whose features stand for the images; None leaves inputs as they are.
    title : str
        What it is called in tables.
    """

    benchmark: str
    options: Mapping[str, Any]
    raw: str = ""
    version: int = 1
    features: Mapping[str, Any] | None = None
    title: str = ""

    @cached_property
    def key(self) -> str:
        """Hash of all but the title."""
        return hash_json({"format": FORMAT, **{k: v for k, v in vars(self).items() if k != "title"}})

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> DataSpec:
        """Read what ``to_dict`` wrote."""
        return cls(**record)


@dataclass(frozen=True)
class TrialSpec:
    """One fit: a method with its parameters on one seed's data, with the supervision that a protocol allows.

    Parameters
    ----------
    data : DataSpec
    method : str
        Name in `longway.METHODS`.
    parameters : mapping
        Those that differ from the method's defaults.
    seed : int
        Of the data and of the method.
    groups, selection, validation : str
        As in `longway.bench.Protocol`.
    device : str, default "cpu"
    threads : int, default 1
        Threads of the fit; sums are rounded differently with another number.
    training : mapping, optional
        Options of ``longway.training_options`` that the fit runs under.
    """

    data: DataSpec
    method: str
    parameters: Mapping[str, Any]
    seed: int
    groups: str = "none"
    selection: str = "worst_class"
    validation: str = "as_train"
    device: str = "cpu"
    threads: int = 1
    training: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """The file name of the trial: a hash of everything that its result depends on."""
        said = {name: value for name, value in vars(self).items() if name != "training" or value}
        return hash_json({**said, "format": FORMAT, "data": self.data.key})

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON has them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> TrialSpec:
        """Read what ``to_dict`` wrote."""
        return cls(**{**record, "data": DataSpec.from_dict(record["data"])})
