"""What fit, evaluate and predict share."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from longway.artifacts import describe, load
from longway.base import Method
from longway.cli.options import DataOptions
from longway.data import GroupedDataset
from longway.errors import LongwayError, nearest
from longway.inputs import Form, same_form
from longway.methods import METHODS
from longway.metrics import GroupMetrics, evaluate_groups

USES = ("none", "val", "train")


def make(name: str, paper: str | None, settings: list[str], device: str, verbose: int) -> Method:
    """Return an unfitted method with the parameters that the command line gives."""
    if name not in METHODS:
        raise LongwayError(f"METHOD {name!r} is unknown; {nearest(name, METHODS)}")
    cls = METHODS[name]
    known = inspect.signature(cls).parameters
    values: dict[str, Any] = {"device": device, "verbose": verbose}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise LongwayError(f"--set {setting!r} must be NAME=VALUE")
        if key not in known:
            raise LongwayError(f"{name} has no parameter {key!r}; {nearest(key, known)}")
        try:
            values[key] = json.loads(text)
        except json.JSONDecodeError:
            values[key] = text
    return cls.from_paper(paper, **values) if paper else cls(**values)


def check_use(use_groups: str) -> None:
    """Refuse an unknown value of ``--use-groups``."""
    if use_groups not in USES:
        raise LongwayError(f"--use-groups {use_groups!r} is unknown; {nearest(use_groups, USES)}")


def labelled(data: GroupedDataset) -> GroupedDataset:
    """Return the data; refuse them if no label is known."""
    if data.y is None:
        raise LongwayError(f"{data.source} has no label: name its column with --label")
    return data


def fit(model: Method, data: GroupedDataset, use_groups: str) -> None:
    """Fit on the train part, with the val part to select on where there is one."""
    if use_groups != "none" and data.groups is None:
        raise LongwayError(f"--use-groups {use_groups} needs groups: name them with --attribute or --group")
    train = data.part("train") if data.parts else data
    eval_set = None
    if "val" in data.parts:
        val = data.part("val")
        eval_set = (val.X, val.y) if use_groups == "none" else (val.X, val.y, val.groups)
    model.fit(train.X, train.y, groups=train.groups if use_groups == "train" else None, eval_set=eval_set)


def train_counts(data: GroupedDataset) -> dict[str, int] | None:
    """Return the number of training rows in each group, for the re-weighted average."""
    if data.groups is None:
        return None
    names, counts = np.unique((data.part("train") if data.parts else data).groups, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def evaluate(model: Method, data: GroupedDataset, part: str, counts: dict[str, int] | None) -> GroupMetrics:
    """Return the metrics of a model on one part of the data."""
    chosen = data if part == "all" else data.part(part)
    assert chosen.y is not None
    model._code(chosen.y, f"the label column {data.label!r}")
    known = counts if counts and chosen.groups is not None and set(chosen.groups) <= set(counts) else None
    names = sorted(known) if known else None
    return evaluate_groups(chosen.y, model.predict(chosen.X), chosen.groups, names=names, train_counts=known)


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
        record |= {"worst_group": metrics.worst_group, "worst_group_accuracy": metrics.worst_group_accuracy}
    return {**record, "counts": metrics.to_dict()}


def loaded(
    path: Path,
    options: DataOptions,
    part: str | None,
    backbone: str | None,
    device: str,
    quiet: bool,
    *,
    with_labels: bool = True,
) -> tuple[Method, dict[str, Any], GroupedDataset, str]:
    """Return a saved model, what its file says of the fit, the data in the form it takes, and the part meant."""
    about = describe(path)["about"]
    model = load(path).set_params(device=device)
    form = Form.from_dict(about.get("form", {}))
    options = options.completed(about.get("data", {}))
    changes: dict[str, Any] = {"input": list(form.columns)} if form.columns and options.input is None else {}
    if not with_labels:
        changes |= {"label": None, "attributes": (), "group": None}
        if part == "all":
            changes |= {"split": None, "split_by": None, "fractions": None}
    data = options.read(**changes)
    part = part or ("test" if data.parts else "all")
    data = same_form(
        data if part == "all" else data.part(part), form, backbone=backbone, device=device, verbose=0 if quiet else 1
    )
    return model, about, data, part
