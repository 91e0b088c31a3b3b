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
from longway.methods import METHODS
from longway.methods._base import Method
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.safetensors import read_tensors, write_tensors

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


_LEARNT = re.compile(r"[a-z]\w*[a-z0-9]_")
"""Names of learnt values."""


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
    header, tensors = _read(Path(path))
    if header["method"] not in METHODS:
        raise LongwayError(f"{path} holds the method {header['method']!r}, which this version does not know: update")
    try:
        parameters, learnt = (_renamed(_decode({"mapping": header[part]})) for part in ("parameters", "learnt"))
        learnt |= {
            name.removeprefix("learnt/"): tensor.numpy() for name, tensor in tensors.items() if "learnt/" in name
        }
        state = {_renamed_tensor(name): tensor for name, tensor in tensors.items() if name.startswith("module/")}
        method = _restored(header, parameters, path)
        _check_learnt(method, learnt)
        for name, value in learnt.items():
            setattr(method, name, value)
        _check_state(method, state)
        module = method._build(method.input_shape_, len(method.classes_))
        module.to(next(value.dtype for value in state.values() if value.is_floating_point()))
        module.load_state_dict(state)
    except LongwayError:
        raise
    except _InconsistentError as error:
        raise CorruptFileError(f"{path} holds {error}, which no fit gives: fit again") from error
    except Exception as error:  # a header may hold anything: whatever it breaks, the file is at fault
        raise CorruptFileError(
            f"{path} is damaged: its parts do not fit together ({type(error).__name__}); fit again"
        ) from error
    method.module_ = module.eval()
    return method


class _InconsistentError(ValueError):
    """Something in a file that no fitted method has."""


def _restored(header: Mapping[str, Any], parameters: dict[str, Any], path: str | Path) -> Method:
    """Return the unfitted method of a header, with its parameters checked."""
    try:
        method = METHODS[header["method"]](**parameters)
    except TypeError as error:
        raise LongwayError(
            f"{path} was saved by Longway {header['longway']}, whose {header['method']} has other "
            f"parameters ({error}): fit again"
        ) from error
    method.check()
    return method


def _check_learnt(method: Method, learnt: Mapping[str, Any]) -> None:
    """Raise unless learnt values have names of their own, and classes and shape are those of a classifier."""
    for name in learnt:
        if not _LEARNT.fullmatch(name) or hasattr(type(method), name):
            raise _InconsistentError(f"the learnt value {name!r}")
    classes, shape = learnt["classes_"], learnt["input_shape_"]
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or not 2 <= len(np.unique(classes)) == len(classes):
        raise _InconsistentError("classes that are not two or more different labels")
    if classes.dtype.kind == "f" and not np.isfinite(classes).all():
        raise _InconsistentError("a class that is NaN or infinity")
    if (
        not isinstance(shape, tuple)
        or len(shape) not in (1, 3)
        or not all(type(side) is int and side > 0 for side in shape)
    ):
        raise _InconsistentError(f"the input shape {shape!r}")


def _check_state(method: Method, state: Mapping[str, Tensor]) -> None:
    """Raise unless the weights are finite and have the shapes of the method's network, before that is allocated."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise _InconsistentError(f"weights {name!r} with NaN or infinity")
        if name.endswith(".std") and not (tensor > 0).all():
            raise _InconsistentError(f"standard deviations {name!r} that are not above 0")
    with torch.device("meta"):
        skeleton = method._build(method.input_shape_, len(method.classes_))
    try:
        skeleton.load_state_dict({name: tensor.to("meta") for name, tensor in state.items()}, assign=True)
    except RuntimeError as error:
        raise _InconsistentError(f"weights that do not fit its {type(method).__name__}") from error


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
    header, found = read_tensors(path, wanted="a model that `longway fit` saved", remedy="fit again", tensors=tensors)
    for name, kind in {"longway": str, "method": str, "parameters": dict, "learnt": dict, "about": dict}.items():
        if not isinstance(header.get(name), kind):
            raise CorruptFileError(f"{path} is damaged: its header has no usable {name!r}; fit again")
    return header, found


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


def _renamed_tensor(name: str) -> str:
    """Return a weight's name in the network. Earlier files call std "spread", and a layer of the denoiser "told"."""
    return re.sub(r"\.told\.", ".modulation.", re.sub(r"\.spread$", ".std", name.removeprefix("module/")))


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array(value["array"], dtype=value["dtype"])
    if "tuple" in value:
        return tuple(_decode(item) for item in value["tuple"])
    return {key: _decode(item) for key, item in value["mapping"].items()}
