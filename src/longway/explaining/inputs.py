"""Check the models and data that are explained and bring them into one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from longway.auditing.prepare import plain_columns, sample_rows
from longway.data import GroupedDataset
from longway.data.splits import PARTS, part_name
from longway.data.validation import encode_labels
from longway.explaining.result import Ends
from longway.groups.axes import AxisGroups
from longway.methods._base import Method
from longway.utils.errors import LongwayError, nearest
from longway.utils.records import Example


@dataclass(frozen=True)
class ExplainInputs:
    """Models, and the samples to explain them on.

    Parameters
    ----------
    model : Method or AxisGroups
    name : str
        Of the model.
    others : mapping of str to Method
        Models to compare it with.
    classes : list of str
        Names of the C classes.
    X : ndarray of shape (m, ...)
        Samples to explain, and training samples.
    y, codes, ids : ndarray of shape (m,)
    rows : ndarray of shape (m,)
        Positions in the data as given.
    explained, train : ndarray of int64
        Positions of either kind among the m; a sample may be both.
    columns : mapping of str to ndarray of shape (n,)
        Metadata of the explained samples.
    predicted : ndarray of shape (m,)
        Predictions of the model; empty strings for inferred groups.
    part, source, n_given
        As in ``Explanation``.
    """

    model: Method | AxisGroups
    name: str
    others: Mapping[str, Method]
    classes: list[str]
    X: np.ndarray
    y: np.ndarray
    codes: np.ndarray
    ids: np.ndarray
    rows: np.ndarray
    explained: np.ndarray
    train: np.ndarray
    columns: Mapping[str, np.ndarray]
    predicted: np.ndarray
    part: str
    source: str
    n_given: int

    @property
    def models(self) -> dict[str, Method]:
        """All models by name, the explained one last."""
        own = {self.name: self.model} if isinstance(self.model, Method) else {}
        return {**self.others, **own}

    @property
    def explained_inputs(self) -> np.ndarray:
        """Inputs of the explained samples."""
        return self.X[self.explained]

    @property
    def explained_codes(self) -> np.ndarray:
        """Classes of the explained samples, (n,)."""
        return self.codes[self.explained]

    def example(self, row: int, value: float = float("nan")) -> Example:
        """Return a sample as an example."""
        return Example(int(row), str(self.ids[row]), str(self.y[row]), str(self.predicted[row]), float(value))

    def ends(self, values: np.ndarray, n: int) -> Ends:
        """Return the explained samples with the lowest and the highest of these values (n,)."""
        order = np.argsort(values, kind="stable")
        low, high = (
            tuple(self.example(self.explained[k], values[k]) for k in some) for some in (order[:n], order[::-1][:n])
        )
        return low, high


def collect_inputs(
    model: Any,
    given: GroupedDataset,
    *,
    name: str | None,
    beside: Method | Mapping[str, Method] | None,
    part: str | None,
    max_rows: int,
    seed: int,
) -> ExplainInputs:
    """Check the arguments of an explanation, choose samples and read them.

    Raises
    ------
    LongwayError
        Something cannot be used; the message names the argument and what to do.
    """
    others = _check_models(model, beside)
    if not isinstance(given.X, np.ndarray):
        raise LongwayError(
            f"data holds {given.kind} that are still on disk: give arrays as the model takes them, or use `longway "
            "explain`"
        )
    labels = np.asarray(given.y)
    classes = model.classes_ if isinstance(model, Method) else np.unique(labels)
    codes = encode_labels(labels, classes, "y")
    part, members = _select_part(given, part)
    generator = np.random.default_rng(seed)
    explained = sample_rows(members, codes, max_rows, generator)
    trained = np.flatnonzero(given.split == "train") if "train" in given.parts else explained
    train = sample_rows(trained, codes, max_rows, generator)
    rows = np.union1d(explained, train)
    X = np.asarray(given.X[rows])
    own_name = name or (type(model).__name__ if isinstance(model, Method) else "inferred groups")
    if own_name in others:
        raise LongwayError(f"beside holds another model named {own_name!r}: give the models different names")
    return ExplainInputs(
        model=model,
        name=own_name,
        others=others,
        classes=[str(each) for each in classes.tolist()],
        X=model._check_inputs(X, reset=False) if isinstance(model, Method) else X,
        y=labels[rows],
        codes=codes[rows],
        ids=np.asarray(given.ids)[rows],
        rows=rows,
        explained=np.searchsorted(rows, explained),
        train=np.searchsorted(rows, train),
        columns=plain_columns(given, explained),
        predicted=model.predict(X) if isinstance(model, Method) else np.full(len(rows), ""),
        part=part,
        source=given.source,
        n_given=len(given),
    )


def _check_models(model: Any, beside: Any) -> dict[str, Method]:
    """Return the other models by name; refuse those that cannot be explained or compared."""
    if not isinstance(model, Method | AxisGroups):
        raise LongwayError(
            f"model is a {type(model).__name__}: give a fitted method of Longway, or what infer_groups returns"
        )
    others = {type(beside).__name__: beside} if isinstance(beside, Method) else dict(beside or {})
    for each in (model, *others.values()):
        if isinstance(each, Method):
            check_is_fitted(each, "module_")
    for name, other in others.items():
        if not isinstance(model, Method):
            raise LongwayError("beside: inferred groups make no predictions to compare with a model; leave it out")
        if other.input_shape_ != model.input_shape_:
            raise LongwayError(
                f"beside: {name} takes inputs of shape {other.input_shape_}, the model {model.input_shape_}: give one "
                "that was fitted on the same inputs"
            )
        if not np.array_equal(other.classes_, model.classes_):
            raise LongwayError(f"beside: {name} knows other classes than the model: give one fitted on the same labels")
    return others


def _select_part(data: GroupedDataset, part: str | None) -> tuple[str, np.ndarray]:
    """Return the part to explain, "" for all samples, and its rows."""
    if part is None:
        part = "test" if "test" in data.parts else "all"
    if part == "all":
        return "", np.arange(len(data))
    wanted = part_name(part)
    if wanted not in data.parts:
        known = [each for each in PARTS if each in data.parts]
        raise LongwayError(f"part={part!r} is no part of {data.source}; {nearest(part, [*known, 'all'])}")
    return wanted, np.flatnonzero(data.split == wanted)
