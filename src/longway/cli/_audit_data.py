"""Read what `longway audit` is given, run the audit, and write its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longway.auditing import Audit, audit
from longway.auditing.ci import to_junit, to_sarif
from longway.auditing.group_export import write_sides
from longway.auditing.page import write_audit
from longway.auditing.predictions import read_predictions
from longway.backbones.preprocessing import prepare_inputs
from longway.cli import _models
from longway.cli._advice import audit_with_commands, data_words
from longway.cli._options import DataOptions, numbers
from longway.data import GroupedDataset
from longway.data.splits import PARTS, part_name
from longway.utils.errors import LongwayError, nearest
from longway.utils.storage import atomic_file, write_json


class Encoding(NamedTuple):
    """The options that turn inputs into features."""

    backbone: str | None
    size: int | None
    mean: str | None
    std: str | None
    device: str
    quiet: bool


@dataclass(frozen=True)
class AuditData:
    """Data to audit, with more arguments of ``longway.audit``."""

    data: GroupedDataset
    """The samples in the form that the model takes."""
    raw: GroupedDataset
    """The same samples with images or texts to look at."""
    arguments: dict[str, Any]
    options: DataOptions
    encoding: Encoding
    drawn: bool
    """True if the part was drawn at random."""
    whole: bool
    """True if these are all samples, so that a fit finds its own among them."""

    def audit(self, folder: Path, **settings: Any) -> Audit:
        """Run the audit that will be written to this folder, and fill in its commands."""
        found = audit(self.data, source=self.options.source, **self.arguments, **settings)
        words = data_words(self.options, self.encoding.backbone, self.raw.kind)
        return audit_with_commands(found, folder if self.whole else None, words)

    def write(
        self, found: Audit, folder: Path, junit: Path | None, sarif: Path | None, escape_formulas: bool = False
    ) -> Path:
        """Write the report, the record, the sides and, if asked for, JUnit XML and SARIF; return the report's path."""
        page = write_audit(found, folder, None if self.raw.kind == "features" else self.raw.X)
        write_sides(found, np.asarray(self.data.ids), folder, escape_formulas=escape_formulas)
        if junit is not None:
            with atomic_file(junit, "w") as file:
                file.write(to_junit(found))
        if sarif is not None:
            write_json(sarif, to_sarif(found))
        return page


def read_audit_data(
    options: DataOptions, model: Path | None, predictions: str | None, part: str | None, encoding: Encoding
) -> AuditData:
    """Read the data, and the model or its predictions.

    Raises
    ------
    LongwayError
        Something cannot be used; the message names the option.
    """
    if part is not None and part != "all" and part_name(part) is None:
        raise LongwayError(f"--part {part!r} is unknown; {nearest(part, (*PARTS, 'all'))}")
    if model is not None:
        return _with_model(options, model, part, encoding)
    whole = part in (None, "all")
    needs_split = options.split or options.split_by or not whole
    raw = _models.labelled(options.read() if needs_split else options.read(split_by=None, fractions=None))
    given = {} if predictions is None else {"predictions": read_predictions(predictions, raw, "--predictions")}
    raw = without_columns(raw, [predictions, options.split])
    if not whole:
        members = np.flatnonzero(raw.split == part_name(str(part)))
        raw = raw.part(str(part))
        given = {name: values[members] for name, values in given.items()}
    if encoding.backbone is not None:
        given["representation"] = _encode(raw, encoding)
    return AuditData(raw, raw, given, options, encoding, drawn=False, whole=whole)


def _with_model(options: DataOptions, model: Path, part: str | None, encoding: Encoding) -> AuditData:
    for name, value in {"--size": encoding.size, "--mean": encoding.mean, "--std": encoding.std}.items():
        if value is not None:
            raise LongwayError(f"{name} is the model's own: leave it out with --model")
    use = _models.loaded(model, options, part, encoding.backbone, encoding.device, encoding.quiet)
    options = options.completed(use.about.get("data", {}))
    whole = use.part == "all"
    raw = use.data
    if use.data.kind == "features" and encoding.backbone is not None:
        raw = options.read() if whole else options.read().part(use.part)
    data = without_columns(use.data, [options.split])
    return AuditData(data, raw, {"model": use.model}, options, encoding, use.drawn, whole)


def without_columns(data: GroupedDataset, names: Sequence[str | None]) -> GroupedDataset:
    """Return data without columns that are not properties of a sample, so that they are not tested as signals."""
    return data if data.table is None else replace(data, table=data.table.without([name for name in names if name]))


def _encode(raw: GroupedDataset, encoding: Encoding) -> Any:
    """Return the features that the backbone makes."""
    features, _ = prepare_inputs(
        raw,
        backbone=encoding.backbone,
        size=encoding.size,
        mean=numbers(encoding.mean, "--mean"),
        std=numbers(encoding.std, "--std"),
        device=encoding.device,
        verbose=0 if encoding.quiet else 1,
    )
    return features.X
