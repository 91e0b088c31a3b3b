"""The metadata of an exported file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from longway.backbones.preprocessing import InputSpec
from longway.utils.errors import CorruptFileError, LongwayError

FORMAT = 1
OUTPUTS = ("logits", "probabilities")
KINDS = {"features": ("features",), "images": ("images",), "tokens": ("input_ids", "attention_mask")}
"""The names of the graph's inputs by kind of input."""
RANKS = {"features": (1,), "images": (3,), "tokens": (0,)}
"""Numbers of axes of one input."""
DTYPE = re.compile(r"[<>|=]?([biuf]\d|[US]\d{1,6})|bool|u?int\d+|float\d+")
MAX_SIDE = 10**7


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

    def check(self) -> None:
        """Raise ValueError or TypeError if a value cannot be that of a file of Longway's."""
        labels = self.labels if DTYPE.fullmatch(self.classes_dtype) else np.zeros(())
        texts = (self.method, self.input, self.longway, self.supervision)
        tables = (self.form, self.about, self.normalisation or {}, self.backbone or {}, self.tokenizer or {})
        sides = all(isinstance(side, int) and 0 < side <= MAX_SIDE for side in self.shape)
        if (
            labels.ndim != 1
            or not 2 <= len(np.unique(labels)) == len(labels)
            or (labels.dtype.kind == "f" and not np.isfinite(labels).all())
            or not all(isinstance(text, str) for text in texts)
            or not all(isinstance(table, dict) for table in tables)
            or not (isinstance(self.shape, list) and sides and len(self.shape) in RANKS[self.kind])
        ):
            raise ValueError
        if self.tokenizer is not None and not 0 < int(self.longest or 1) <= MAX_SIDE:
            raise ValueError
        self.as_form  # noqa: B018

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
        try:
            values = {name: json.loads(metadata[f"longway.{name}"]) for name in names if f"longway.{name}" in metadata}
            if int(values["format"]) > FORMAT:
                raise LongwayError(
                    f"{path} was exported by Longway {values['longway']}, which is newer than this one: update"
                )
            record = cls(**values)
            record.check()
        except LongwayError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise CorruptFileError(
                f"{path} was not exported by Longway: give a file that `longway export` wrote"
            ) from error
        return record
