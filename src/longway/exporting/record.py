"""The metadata of an exported file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from longway.backbones.adapter import one_line
from longway.backbones.preprocessing import InputSpec
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.json_input import parse_json
from longway.utils.rules import Choice, Other, Whole
from longway.utils.schema import Maybe, misfit

FORMAT = 1
OUTPUTS = ("logits", "probabilities")
KINDS = {"features": ("features",), "images": ("images",), "tokens": ("input_ids", "attention_mask")}
"""The names of the graph's inputs by kind of input."""


@dataclass(frozen=True)
class Record:
    """The facts needed to use an exported file and to identify it.

    Parameters
    ----------
    method : str
        What it was fitted by.
    classes : list
        Labels in the order of the outputs' columns.
    classes_dtype : str
        Their numpy type.
    kind : {"features", "images", "tokens"}
        What the graph takes.
    shape : list of int
        Of one input: (d,), or (channels, height, width); empty for tokens.
    input : str
        The same in words: type, layout, range and what is to be done before.
    form : dict
        As in `InputSpec`: how data become what the graph takes.
    normalisation : dict, optional
        Mean and deviation of the channels that the graph takes care of.
    backbone : dict, optional
        Name and options of the backbone that is in the graph.
    tokenizer : dict, optional
        How texts become tokens: rules, greatest length and padding.
    about : dict
        As in `longway.describe`: columns and split of the fit.
    positive_class : object, optional
        The second of two classes, for which `decision_function` is positive.
    longway : str
        Version that wrote it.
    supervision : str
        The group labels that the fit used.
    format : int
    """

    method: str
    classes: list[Any]
    classes_dtype: str
    kind: str
    shape: list[int]
    input: str
    form: dict[str, Any]
    longway: str
    supervision: str
    normalisation: dict[str, Any] | None = None
    backbone: dict[str, Any] | None = None
    tokenizer: dict[str, Any] | None = None
    about: dict[str, Any] = field(default_factory=dict)
    positive_class: Any = None
    format: int = FORMAT

    @property
    def labels(self) -> np.ndarray:
        """Labels of the method, of shape (C,)."""
        return np.array(self.classes, dtype=self.classes_dtype)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""
        return KINDS[self.kind]

    @property
    def longest(self) -> int | None:
        """Maximum number of tokens of a text, if limited."""
        return None if self.tokenizer is None else self.tokenizer["max_length"]

    @property
    def as_form(self) -> InputSpec:
        """The preprocessing that turns data into the inputs of the graph."""
        return InputSpec.from_dict(self.form)

    def summary(self) -> dict[str, Any]:
        """Return the record for people, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if name not in ("tokenizer", "about", "form")}

    def to_metadata(self) -> dict[str, str]:
        """Return the record as strings by name, each value in JSON."""
        return {f"longway.{name}": json.dumps(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: object) -> Record:
        """Restore the record of ``to_metadata``.

        Raises
        ------
        LongwayError
            The file is not one of Longway's, or of a newer version.
        """
        names = [entry.name for entry in fields(cls)]
        foreign = f"{path} was not exported by Longway: give a file that `longway export` wrote"
        try:
            values = {name: parse_json(metadata[f"longway.{name}"]) for name in names if f"longway.{name}" in metadata}
            newer = values["format"] > FORMAT
            version = str(values["longway"])[:20]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFileError(foreign) from error
        if newer:
            raise LongwayError(f"{path} was exported by Longway {version}, which is newer than this one: update")
        damage = misfit(values, _SCHEMA)
        try:
            record = None if damage else cls(**values)
            damage = damage if record is None else record._contradiction()
        except (CorruptFileError, ValueError, TypeError, OverflowError) as error:
            damage, record = one_line(error), None
        if record is None or damage:
            raise CorruptFileError(f"{path} has a damaged record ({damage.strip('.')}): export again")
        return record

    def _contradiction(self) -> str:
        """Return the first part that does not fit the others; empty if all do."""
        self.as_form  # noqa: B018
        kind, size = np.dtype(self.classes_dtype).kind, np.dtype(self.classes_dtype).itemsize
        if kind not in "fiubUO" or size * len(self.classes) > 2**28:
            return "classes_dtype"
        known = self.labels
        if known.ndim != 1 or len(set(known.tolist())) != len(known):
            return "classes"
        if len(self.shape) != {"features": 1, "images": 3, "tokens": 0}[self.kind]:
            return "shape"
        return "tokenizer" if (self.kind == "tokens") != (self.tokenizer is not None) else ""


_CLASS = Other(lambda value: isinstance(value, bool | int | float | str) and value == value, "a label")
_SCHEMA = {
    "method": str,
    "classes": [_CLASS],
    "classes_dtype": str,
    "kind": Choice(tuple(KINDS)),
    "shape": [Whole()],
    "input": str,
    "form": dict,
    "longway": str,
    "supervision": str,
    "backbone": Maybe({"name": str}),
    "normalisation": Maybe(dict),
    "tokenizer": Maybe({"rules": str, "max_length": Maybe(Whole(2)), "pad": Whole(0)}),
    "about": dict,
    "format": Whole(),
}
