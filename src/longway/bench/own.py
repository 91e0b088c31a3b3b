"""The user's own data as a benchmark: any folder, table or feature folder that `longway.read` reads."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

from longway.backbones.preprocessing import prepare_inputs
from longway.data.reading import read
from longway.data.splits import PARTS
from longway.datasets import Benchmark, Card, Parts
from longway.utils.errors import LongwayError, LongwayWarning


@dataclass(frozen=True)
class OwnData(Benchmark):
    """A benchmark of data that are read rather than built.

    Parameters
    ----------
    source : str
        What `longway.read` reads.
    label, attribute, group, split, split_by, fractions, input, limit
        As there; ``attribute`` may be a list. A split that is not given by a column is drawn anew by each seed.
    backbone, size, mean, std
        How images or texts become arrays, as in `longway fit`.
    """

    source: str = ""
    label: str | None = None
    attribute: str | list[str] | None = None
    group: str | None = None
    split: str | None = None
    split_by: str | None = None
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    input: str | list[str] | None = None
    limit: int | None = None
    backbone: str | None = None
    size: int | None = None
    mean: float | list[float] | None = None
    std: float | list[float] | None = None

    name: ClassVar[str] = "data"
    in_place: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        title="Your own data",
        core="what the label means",
        shortcut="the named attributes, if any",
        licence="yours",
        source="yours",
    )

    def __post_init__(self) -> None:
        if not self.source:
            raise LongwayError("benchmark data needs a source: name the folder, table or feature cache")

    def build(self, seed: int) -> Parts:
        """Read the data, split them by the seed unless a column does, and convert them to arrays."""
        data = read(
            self.source,
            input=self.input,
            label=self.label,
            attributes=self.attribute or (),
            group=self.group,
            split=self.split,
            split_by=self.split_by,
            fractions=tuple(self.fractions),
            seed=seed,
            limit=self.limit,
        )
        if data.y is None:
            raise LongwayError(f"{self.source} has no label: name its column with label=")
        data, _ = prepare_inputs(data, backbone=self.backbone, size=self.size, mean=self.mean, std=self.std, verbose=0)
        return {name: data.part(name) for name in PARTS}

    def raw_fingerprint(self) -> str:
        """Return the content hash of the data."""
        with warnings.catch_warnings():  # `build` reads the same data and says what there is to say
            warnings.simplefilter("ignore", LongwayWarning)
            return read(self.source, input=self.input, label=self.label, attributes=self.attribute or ()).fingerprint
