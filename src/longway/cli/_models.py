"""Functions that fit, evaluate and predict share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longway.backbones.preprocessing import InputSpec, match_inputs
from longway.cli._options import DataOptions, assignments
from longway.cli._printing import reweighted_average
from longway.data import GroupedDataset
from longway.data.splits import PARTS, part_name
from longway.data.validation import encode_labels
from longway.exporting import Exported, is_exported, load_exported
from longway.methods import METHODS
from longway.methods._base import Method
from longway.methods._persistence import describe, load
from longway.metrics.group_metrics import GroupMetrics, evaluate_groups
from longway.utils.device import resolve_device
from longway.utils.errors import CorruptFileError, LongwayError, nearest
from longway.utils.rules import Whole
from longway.utils.schema import Each, Maybe, misfit

USES = ("none", "val", "train")


def make(name: str, paper: str | None, settings: list[str], device: str, verbose: int) -> Method:
    """Return an unfitted method with the parameters that the command line gives."""
    if name not in METHODS:
        raise LongwayError(f"METHOD {name!r} is unknown; {nearest(name, METHODS)}")
    cls = METHODS[name]
    given = assignments(settings, "--set")
    cls.check_names(given)
    values: dict[str, Any] = {"device": device, "verbose": verbose, **given}
    model = cls.from_paper(paper, **values) if paper else cls(**values)
    model.check()
    resolve_device(device)
    return model


def check_use(use_groups: str, options: DataOptions, signals: bool = False) -> None:
    """Raise if ``--use-groups`` is unknown, or needs groups that are not named."""
    if use_groups not in USES:
        raise LongwayError(f"--use-groups {use_groups!r} is unknown; {nearest(use_groups, USES)}")
    if use_groups != "none" and not (options.attribute or options.group or signals):
        raise LongwayError(f"--use-groups {use_groups} needs groups: name them with --attribute, --group or --signal")


def check_out(path: Path, overwrite: bool = True) -> None:
    """Raise if a path cannot be written to, before the work whose result goes there."""
    if path.is_file() and not overwrite:
        raise LongwayError(f"--out {path} exists already: choose another file, or --overwrite to replace it")
    if path.is_dir():
        raise LongwayError(f"--out {path} is a folder: give the name of a file in it, such as {path / 'model'}")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise LongwayError(f"--out {path} cannot be written, as {folder} is no folder that may be: choose another path")


def check_kind(data: GroupedDataset, model: Method, method: str, backbone: str | None) -> None:
    """Raise if a method takes features, but the data are images and there is no backbone."""
    if data.kind == "images" and backbone is None and not model.takes_images:
        raise LongwayError(f"{method} takes features, not images: give --backbone, such as path/to/file.py:function")


def labelled(data: GroupedDataset) -> GroupedDataset:
    """Return the data; raise if the label is not known."""
    if data.y is None:
        raise LongwayError(f"{data.source} has no label: name its column with --label")
    return data


def array(data: GroupedDataset) -> Any:
    """Return the inputs of data in a model's form."""
    return data.X


def fit(model: Method, data: GroupedDataset, use_groups: str) -> None:
    """Fit on the train part; select on the val part if there is one."""
    train = data.part("train") if data.parts else data
    assert train.y is not None
    eval_set: tuple[Any, ...] | None = None
    if "val" in data.parts:
        val = data.part("val")
        eval_set = (array(val), val.y) if use_groups == "none" else (array(val), val.y, val.groups)
    model.fit(array(train), train.y, groups=train.groups if use_groups == "train" else None, eval_set=eval_set)


def name(model: Method | Exported) -> str:
    """Return the name of a model's method."""
    return model.name if isinstance(model, Exported) else type(model).__name__


def decisions(data: GroupedDataset, options: DataOptions, columns: Sequence[str]) -> dict[str, Any]:
    """Return what a command decided about its data: rows in each part, the origin of the split, and the inputs."""
    own = data.table.split if data.table is not None else None
    if not data.parts:
        split = "none"
    elif options.split or options.split_by:
        split = f"column {options.split}" if options.split else f"by the hash of column {options.split_by}"
    elif own:
        split = "the data's own"
    else:
        split = f"drawn at random within each {'class' if data.groups is None else 'group'}, seed {options.split_seed}"
    return {"rows": data.parts or {"all": len(data)}, "split": split, "inputs": list(columns) or [data.kind]}


def decision_lines(record: dict[str, Any], model: Method) -> list[str]:
    """Return ``decisions`` as one line, and another if the model inferred groups, as none were given."""
    rows = ", ".join(f"{name} {n:,}" for name, n in record["rows"].items())
    inputs = record["inputs"]
    shown = ", ".join(inputs[:5]) + (f" and {len(inputs) - 5} more" if len(inputs) > 5 else "")
    lines = [f"Rows: {rows} (split: {record['split']}). Inputs: {shown}"]
    if found := getattr(model, "group_inference_", None):
        lines.append(f"No group labels were given: groups were inferred ({found['strategy']})")
    return lines


def train_counts(data: GroupedDataset) -> dict[str, int] | None:
    """Return the number of training samples in each group, for the reweighted average."""
    train = data.part("train") if data.parts else data
    if train.groups is None:
        return None
    names, counts = np.unique(train.groups, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def evaluate(model: Method | Exported, data: GroupedDataset, part: str, counts: dict[str, int] | None) -> GroupMetrics:
    """Return the metrics of a model on one part of the data."""
    chosen = data if part == "all" else data.part(part)
    assert chosen.y is not None
    encode_labels(chosen.y, model.classes_, f"the label column {data.label!r}")
    known, names = None, None
    if counts and chosen.groups is not None and not set(counts).isdisjoint(chosen.groups):  # the fit's own grouping
        known = {**dict.fromkeys(chosen.groups.tolist(), 0), **counts}
        names = sorted(known)
    return evaluate_groups(chosen.y, model.predict(array(chosen)), chosen.groups, names=names, train_counts=known)


def figures(metrics: GroupMetrics) -> dict[str, Any]:
    """Return the metrics with their counts, ready for JSON."""
    record: dict[str, Any] = {
        "n": metrics.n,
        "average_accuracy": metrics.average_accuracy,
        "balanced_accuracy": metrics.balanced_accuracy,
        "worst_class": metrics.worst_class,
        "worst_class_accuracy": metrics.worst_class_accuracy,
    }
    if metrics.groups:
        record["reweighted_average_accuracy"] = reweighted_average(metrics)
        record |= {"worst_group": metrics.worst_group, "worst_group_accuracy": metrics.worst_group_accuracy}
    return {**record, "counts": metrics.to_dict()}


class Loaded(NamedTuple):
    """A saved model with data to use it on."""

    model: Method | Exported
    about: dict[str, Any]
    """The record of the fit in the model's file."""
    data: GroupedDataset
    """The requested part, in the form that the model takes."""
    part: str
    drawn: bool
    """True if that part was drawn at random rather than given by a column."""


def loaded(
    path: Path,
    options: DataOptions,
    part: str | None,
    backbone: str | None,
    device: str,
    quiet: bool,
    *,
    with_labels: bool = True,
    exported: bool = False,
    max_skipped: float = 0,
) -> Loaded:
    """Read a saved model and data for it; columns and split default to those of its fit.

    Exported files are taken where ``exported`` says so.
    """
    if part is not None and part != "all" and part_name(part) is None:
        raise LongwayError(f"--part {part!r} is unknown; {nearest(part, (*PARTS, 'all'))}")
    model, about, form = (_open_exported if exported and is_exported(path) else _open)(path, device)
    changes: dict[str, Any] = {} if options.input or not form.columns else {"input": list(form.columns)}
    options = options.completed(about.get("data", {}))
    if damage := misfit(about, {"train_counts": Maybe(Each(Whole(0)))}):
        raise CorruptFileError(f"{path} has a damaged record ({damage.strip('.')}): fit again")
    if not with_labels:
        changes |= _unlabelled(options, part)
    data = options.read(**changes)
    if with_labels:
        labelled(data)
    part = part or ("test" if data.parts else "all")
    named = options.split or options.split_by or (data.table is not None and data.table.split)
    chosen = data if part == "all" else data.part(part)
    ready = match_inputs(
        chosen, form, backbone=backbone, device=device, verbose=0 if quiet else 1, max_skipped=max_skipped
    )
    return Loaded(model, about, ready, part, drawn=part != "all" and not named)


def _open(path: Path, device: str) -> tuple[Method, dict[str, Any], InputSpec]:
    about = describe(path)["about"]
    return load(path).set_params(device=device), about, InputSpec.from_dict(about.get("form", {}))


def _open_exported(path: Path, device: str) -> tuple[Exported, dict[str, Any], InputSpec]:
    model = load_exported(path, device=device)
    return model, model.record.about, model.record.as_form


def _unlabelled(options: DataOptions, part: str | None) -> dict[str, Any]:
    """Return the changed read options if labels are not needed: they, and all that depends on them, may be absent."""
    without = {"labelled": False, "attributes": (), "group": None}
    if part in (None, "all"):
        return {**without, "split": None, "split_by": None, "fractions": None}
    # A random split is drawn within each group, so it takes the labels to draw it again
    return without if options.split or options.split_by else {}
