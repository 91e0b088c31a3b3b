"""Saving and loading fitted methods: one safetensors file whose header holds the rest as JSON; nothing is unpickled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from longway._version import __version__
from longway.backbones.adapter import one_line
from longway.methods import METHODS
from longway.methods._base import SUPERVISION, Method
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.rules import Choice, Other, Whole
from longway.utils.safetensors import read_tensors, write_tensors
from longway.utils.schema import Maybe, misfit

# Names in files that were saved before parameters got the names they have now.
_RENAMED = {
    "ridge": "l2",
    "ridges": "l2s",
    "first_ridge": "first_l2",
    "early_ridge": "early_l2",
    "strong_ridge": "strong_l2",
    "strengths": "Cs",
    "pulls": "l2_to_init",
    "rates": "learning_rates",
    "up_weight": "upweight",
    "noise": "noise_scale",
    "consistency": "consistency_weight",
    "share": "min_relative_score",
    "kept": "retained_fraction",
    "smallest": "min_group_size",
    "infer": "group_inference",
    "infer_options": "group_inference_params",
    "inferred_": "group_inference_",
    "doubts": "caveats",
    "way": "strategy",
    "against": "debias_mode",
}


def save(method: Method, path: str | Path, *, about: Mapping[str, Any] | None = None) -> None:
    """Write a fitted method to one file, whole or not at all.

    Parameters
    ----------
    method : Method
        Fitted.
    path : str or Path
        Customarily ``NAME.safetensors``.
    about : mapping, optional
        Anything that JSON can hold, given back by ``describe``: where the data came from, say.

    Raises
    ------
    LongwayError
        If a parameter or a learnt attribute cannot be stored, or the disk has no room.
    sklearn.exceptions.NotFittedError
        If the method is not fitted.
    """
    check_is_fitted(method, "module_")
    tensors = {f"module/{name}": value for name, value in method.module_.state_dict().items()}
    learnt: dict[str, Any] = {}
    for name, value in sorted(vars(method).items()):
        if not name.endswith("_") or name.startswith("_") or name == "module_":
            continue
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            tensors[f"learnt/{name}"] = torch.from_numpy(np.ascontiguousarray(value))
        else:
            learnt[name] = _encode(value, name)
    header = {
        "longway": __version__,
        "method": type(method).__name__.lower(),
        "parameters": {name: _encode(value, name) for name, value in method.get_params(deep=False).items()},
        "learnt": learnt,
        "about": dict(about or {}),
    }
    write_tensors(path, header, tensors)


def load(path: str | Path) -> Method:
    """Read a method that ``save`` wrote.

    Returns
    -------
    Method
        Fitted; predicts the same as before, bit for bit.

    Raises
    ------
    LongwayError
        If there is no such file, it is damaged, or it holds something else.
    """
    path = Path(path)
    header, tensors = _read(path)
    if header["method"] not in METHODS:
        raise LongwayError(f"{path} holds the method {header['method']!r}, which this version does not know: update")
    try:
        return _restored(header, tensors)
    except CorruptFileError as error:
        raise CorruptFileError(f"{path} holds {error}: fit again") from error.__cause__
    except LongwayError as error:
        raise LongwayError(f"{path} was saved by {error}: fit again") from error.__cause__
    except Exception as error:
        raise CorruptFileError(f"{path} is damaged ({one_line(error)}): fit again") from error


def _restored(header: dict[str, Any], tensors: dict[str, Tensor]) -> Method:
    parameters, learnt = (_renamed(_decode({"mapping": header[part]})) for part in ("parameters", "learnt"))
    name = header["method"]
    try:
        method = METHODS[name](**parameters)
    except TypeError as error:
        raise LongwayError(f"Longway {header['longway']}, whose {name} has other parameters ({error})") from error
    try:
        method.check()
    except LongwayError as error:
        raise CorruptFileError(f"a parameter that its {name} does not take ({error})") from error
    learnt |= {
        name.removeprefix("learnt/"): tensor.numpy() for name, tensor in tensors.items() if name.startswith("learnt/")
    }
    _check_learnt(learnt, method)
    for name, value in learnt.items():
        setattr(method, name, value)
    # Files of earlier versions call standard deviations "spread", and a layer of the denoiser "told".
    state = {
        re.sub(r"\.told\.", ".modulation.", re.sub(r"\.spread$", ".std", name.removeprefix("module/"))): tensor
        for name, tensor in tensors.items()
        if name.startswith("module/")
    }
    _check_weights(state, method)
    module = method._build(method.input_shape_, len(method.classes_))
    module.to(next(value.dtype for value in state.values() if value.is_floating_point()))
    module.load_state_dict(state)
    method.module_ = module.eval()
    return method


def _check_learnt(learnt: dict[str, Any], method: Method) -> None:
    for name in learnt:
        if not _LEARNT.fullmatch(name) or hasattr(type(method), name) or name == "module_":
            raise CorruptFileError(f"a learnt attribute named {name[:100]!r}")
    if damage := misfit(learnt, _ATTRIBUTES):
        raise CorruptFileError(f"no usable {damage.strip('.')!r} among its learnt attributes")
    if len(learnt["input_shape_"]) == 1 and learnt["input_shape_"][0] != learnt.get("n_features_in_"):
        raise CorruptFileError("learnt attributes that contradict each other: input_shape_ and n_features_in_")


def _check_weights(state: dict[str, Tensor], method: Method) -> None:
    """Compare names and shapes with the network's, before it takes memory, and refuse numbers that none can have."""
    misfits = CorruptFileError(f"weights that do not fit its {type(method).__name__.lower()}")
    with torch.device("meta"):
        network = method._build(method.input_shape_, len(method.classes_))
    kinds = {name: value.is_floating_point() for name, value in network.state_dict().items()}
    if kinds != {name: value.is_floating_point() for name, value in state.items()} or True not in kinds.values():
        raise misfits
    try:
        network.load_state_dict({name: value.to("meta") for name, value in state.items()})
    except RuntimeError as error:
        raise misfits from error
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CorruptFileError(f"NaN or infinite weights ({name})")
        if name.endswith("std") and not (value > 0).all():
            raise CorruptFileError(f"a standard deviation of zero ({name})")


def describe(path: str | Path) -> dict[str, Any]:
    """Return the header of a saved method: its name, parameters, version, and ``about``."""
    header, _ = _read(Path(path), tensors=False)
    return header


def _read(path: Path, *, tensors: bool = True) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if path.is_dir():
        raise LongwayError(f"{path} is a folder, not a model: give the file that `longway fit` saved")
    if path.suffix in (".onnx", ".pt2"):
        raise LongwayError(
            f"{path} is an exported file, which only `longway predict` and `longway evaluate` take: give the model "
            "that it was made from"
        )
    if not path.is_file():
        raise LongwayError(f"{path}: no such file; give the path of a model that `longway fit` saved")
    header, content = read_tensors(path, wanted="a model that `longway fit` saved", remedy="fit again", tensors=tensors)
    if damage := misfit(header, _HEADER):
        raise CorruptFileError(f"{path} is damaged ({damage.strip('.')!r} is missing or of another type): fit again")
    return header, content


def _encode(value: Any, name: str) -> Any:
    """Turn a parameter or learnt value into JSON; arrays and tuples keep their kind."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str if value.dtype.kind != "O" else "O"}
    if isinstance(value, np.generic):
        return _encode(value.item(), name)
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, name) for item in value]}
    if isinstance(value, list):
        return [_encode(item, name) for item in value]
    if isinstance(value, Mapping):
        return {"mapping": {str(key): _encode(item, name) for key, item in value.items()}}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise LongwayError(f"{name} is a {type(value).__name__}, which cannot be saved; give a number, string or list")


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """Give parameters and learnt attributes, and the options within them, the names they have now."""
    return {
        _RENAMED.get(name, name): _renamed(value) if isinstance(value, dict) else value
        for name, value in values.items()
    }


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"array", "dtype"}:
        dtype = np.dtype(value["dtype"])
        if dtype.kind not in "fiubUO" or dtype.itemsize * len(value["array"]) > _LARGEST_ARRAY:
            raise CorruptFileError(f"an array of the type {dtype}")
        return np.array(value["array"], dtype=dtype)
    if value.keys() == {"tuple"} and isinstance(value["tuple"], list):
        return tuple(_decode(item) for item in value["tuple"])
    if value.keys() == {"mapping"} and isinstance(value["mapping"], dict):
        return {key: _decode(item) for key, item in value["mapping"].items()}
    raise CorruptFileError("a value that is no number, text, array, list or mapping")


def _are_classes(value: Any) -> bool:
    """Return whether a value can be the labels of two classes or more."""
    if not isinstance(value, np.ndarray) or value.ndim != 1 or not 2 <= len(value) <= _MOST_CLASSES:
        return False
    items = value.tolist()
    plain = all(
        isinstance(item, bool | int | float | str) and item == item for item in items
    )  # NaN differs from itself
    return plain and len(set(items)) == len(items)


def _is_shape(value: Any) -> bool:
    """Return whether a value can be the shape of features (d,) or images (c, h, w)."""
    return isinstance(value, tuple) and len(value) in (1, 3) and all(map(Whole().accepts, value))


_LEARNT = re.compile(r"[a-z]\w*[^\W_]_")
_LARGEST_ARRAY, _MOST_CLASSES = 2**28, 100_000
_HEADER = {"longway": str, "method": str, "parameters": dict, "learnt": dict, "about": dict}
_ATTRIBUTES = {
    "classes_": Other(_are_classes, "labels"),
    "input_shape_": Other(_is_shape, "a shape"),
    "n_features_in_": Maybe(Whole()),
    "feature_names_in_": Maybe(np.ndarray),
    "history_": Maybe([dict]),
    "selection_": Maybe(dict),
    "supervision_": Choice(SUPERVISION),
    "group_inference_": Maybe({"caveats": Maybe((list, tuple))}),
    "caveats_": Maybe((list, tuple)),
}
