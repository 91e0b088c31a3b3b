"""Files of named tensors with a JSON header (safetensors): written atomically, verified, never unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.json_input import parse_json
from longway.utils.storage import atomic_file, hash_array, hash_json

FORMAT = 1
"""Version of the layout of files."""


def write_tensors(path: str | Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors and a header to one file, whole or not at all.

    Parameters
    ----------
    path : str or Path
    header : mapping
        JSON values, with the version of Longway under ``longway``; the format is added.
    tensors : mapping of str to Tensor
        None may share memory with another.

    Raises
    ------
    LongwayError
        If the disk has no room, or the place cannot be written.
    """
    plain = json.loads(json.dumps({"format": FORMAT, **header}))
    whole = {name: value.contiguous() for name, value in tensors.items()}
    # One entry only: safetensors writes several in an order of chance
    content = to_bytes(whole, metadata={"longway": json.dumps({**plain, "hash": _hash(plain, whole)})})
    with atomic_file(path) as file:
        file.write(content)


def read_tensors(
    path: str | Path, *, wanted: str, remedy: str, tensors: bool = True
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what ``write_tensors`` wrote.

    Parameters
    ----------
    path : str or Path
    wanted : str
        What kind of file it ought to be, for messages.
    remedy : str
        What to do where it is damaged, for messages.
    tensors : bool, default True
        False reads the header alone, and does not check the rest.

    Returns
    -------
    header : dict
    tensors : dict of str to Tensor
        On the CPU.

    Raises
    ------
    LongwayError
        If there is no such file, it is damaged, or it holds something else.
    """
    path = Path(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            content = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CorruptFileError(f"{path} is damaged or no safetensors file ({error}): {remedy}") from error
    try:
        header = parse_json(metadata["longway"])
        newer, saved_hash = header["format"] > FORMAT, header.pop("hash")
        version = str(header["longway"])[:20]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptFileError(f"{path} was not saved by Longway: give {wanted}") from error
    if newer:
        raise LongwayError(f"{path} was saved by Longway {version}, which is newer than this one: update")
    if tensors and saved_hash != _hash(header, content):
        raise CorruptFileError(f"{path} is damaged (its content is not what was saved): {remedy}")
    return header, content


def _hash(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Hash the whole contents of a file, so that any changed bit is detected."""
    return hash_json([dict(header), {name: hash_array(_raw(value)) for name, value in tensors.items()}])


def _raw(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
