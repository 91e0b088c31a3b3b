"""A trial: a fit without test data, and the test of a selected fit."""

from __future__ import annotations

import base64
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from longway.bench.prepared import Prepared, arrays, prepare
from longway.bench.protocol import OWN
from longway.bench.records import counts_of, failure
from longway.bench.spec import FORMAT, TrialSpec
from longway.bench.store import Store, versions
from longway.data.dataset import GroupedDataset
from longway.datasets import Parts
from longway.methods import METHODS
from longway.methods._base import Method
from longway.methods._persistence import load, save
from longway.metrics.group_metrics import evaluate_groups
from longway.training.options import training_options
from longway.utils.errors import LongwayError
from longway.utils.storage import is_full
from longway.utils.threads import limited_threads


def method_of(spec: TrialSpec) -> Method:
    """Return the unfitted method of a trial.

    Raises
    ------
    LongwayError
        A parameter is unknown or out of range.
    """
    cls = METHODS[spec.method]
    values = {"random_state": spec.seed, "selection": spec.selection, "device": spec.device}
    if spec.selection == OWN:
        del values["selection"]
    cls.check_names(spec.parameters)
    known = cls._get_param_names()
    method = cls(**{**{name: value for name, value in values.items() if name in known}, **spec.parameters})
    method.check()
    return method


def fit_trial(spec: TrialSpec, store: Store) -> str:
    """Fit, validate, and store record and model; a failed fit is stored with its error.

    Returns
    -------
    {"done", "failed"}

    Raises
    ------
    Busy
        Another process is at work on it.
    LongwayError
        The result cannot be written, or the data not be made.
    """
    with store.claim(spec):
        if store.has("trials", spec.key):
            return str(store.read("trials", spec.key)["status"])
        store.forget("tests", spec.key)  # of a fit whose record is gone, perhaps of other code
        data = prepare(spec.data, spec.seed)
        record = {"format": FORMAT, "key": spec.key, "spec": spec.to_dict(), "data_hash": data.hash}
        began = time.perf_counter()
        try:
            with limited_threads(spec.threads), training_options(**spec.training), recorded_warnings() as warned:
                method, outcome = _fit(spec, data)
        except Exception as error:
            if is_full(error):
                raise
            outcome = failure(type(error).__name__, str(error), traceback.format_exc())
        else:
            outcome["warnings"] = sorted({" ".join(str(each.message).split()) for each in warned})
            save(method, store.model(spec.key))
        seconds = time.perf_counter() - began
        store.write("trials", spec.key, {**record, **outcome, "seconds": seconds, "versions": versions()})
        return str(outcome["status"])


@contextmanager
def recorded_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect the warnings of the body, even those that this process has shown before."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore")
        for kind in (UserWarning, RuntimeWarning):
            warnings.simplefilter("always", kind)
        yield told


def _fit(spec: TrialSpec, data: Prepared) -> tuple[Method, dict[str, Any]]:
    train, val = data.for_training(spec.validation)
    sees_val, sees_train = spec.groups in ("val", "train"), spec.groups == "train"
    method, (X_val, y_val) = method_of(spec), arrays(val)
    inferred = data.inferred(spec.validation) if spec.groups == "infer" else None
    known = val.groups if sees_val else inferred
    eval_set = (X_val, y_val) if known is None else (X_val, y_val, known)
    method.fit(*arrays(train), groups=train.groups if sees_train else None, eval_set=eval_set)
    metrics = evaluate_groups(y_val, method.predict(X_val), known)
    return method, {
        "status": "done",
        "supervision": method.supervision_ if inferred is None else "none",
        "selection": method.selection_,
        "caveats": list(method.caveats),
        "validation": counts_of(metrics),
    }


def reveal_trial(spec: TrialSpec, store: Store, why: Mapping[str, str]) -> str:
    """Test a selected fit, once.

    Parameters
    ----------
    spec : TrialSpec
        Fitted already.
    store : Store
    why : mapping
        The rule that chose it, for the record.

    Returns
    -------
    {"done"}

    Raises
    ------
    Busy
        Another process is at work on it.
    """
    with store.claim(spec):
        if store.has("tests", spec.key):
            return "done"
        data = prepare(spec.data, spec.seed)
        if data.hash != store.read("trials", spec.key)["data_hash"]:
            raise LongwayError(
                f"the data of {spec.data.title}, seed {spec.seed}, are not those of the fit: choose another folder"
            )
        with limited_threads(spec.threads):
            method = load(store.model(spec.key)).set_params(device=spec.device)
            tests = data.tests()
            parts = {name: _test_part(method, part) for name, part in tests.items()}
        keep_data(store, data, tests)
        store.write("tests", spec.key, {"format": FORMAT, "key": spec.key, "chosen_by": dict(why), "parts": parts})
        return "done"


def _test_part(method: Method, part: GroupedDataset) -> dict[str, Any]:
    X, y = arrays(part)
    predicted = method.predict(X)
    metrics = evaluate_groups(y, predicted, part.groups)
    correct = np.packbits(predicted == y)
    return {"counts": counts_of(metrics), "correct": base64.b64encode(correct.tobytes()).decode()}


def keep_data(store: Store, data: Prepared, tests: Parts) -> None:
    """Store the groups of the test samples with the results, so that the folder can be read without the data."""
    if store.has("data", data.hash):
        return
    parts = {}
    for name, part in tests.items():
        kinds = {"groups": part.groups, "classes": np.asarray(part.y).astype(str)}
        parts[name] = {kind: _packed(values) for kind, values in kinds.items() if values is not None}
    store.write("data", data.hash, {"format": FORMAT, "train_counts": data.train_counts, "parts": parts})


def _packed(values: np.ndarray) -> dict[str, Any]:
    names, codes = np.unique(values, return_inverse=True)
    return {"names": names.tolist(), "codes": base64.b64encode(codes.astype("<u2").tobytes()).decode()}
