"""The contents that a ``.pt2`` file may have; torch would unpickle, evaluate or call anything else: it is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

from longway.utils.errors import CorruptFileError

FILES = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|extra/[\w.]+\.json|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id)"
)
EXPRESSION = re.compile(
    r"(Symbol\('[su]\d+'(, \w+=(True|False))*\)|Integer\(|(Add|Mul|Max|Min|FloorDiv|Mod|PythonMod|CeilDiv)\("
    r"|[su]\d+|\d+|[\s+\-*(),])+"
)
"""Symbolic sizes as torch writes them, such as ``2*s27 + 1`` or ``Mul(Integer(2), Symbol('s27', integer=True))``."""
OPERATOR = re.compile(r"torch\.ops\.aten\.(?!from_file\b)\w+\.\w+|_operator\.(getitem|add|sub|mul|floordiv|mod|neg)")
STRUCTURE = re.compile(r"builtins\.(tuple|list|dict)")


def check_archive(file: Path | IO[bytes], name: object) -> dict[str, str]:
    """Raise if a ``.pt2`` file holds anything but tensors and a graph of torch's own operators.

    Parameters
    ----------
    file : Path or binary file
    name : object
        Of the file, for messages.

    Returns
    -------
    dict of str to str
        Its extra files, by name.

    Raises
    ------
    CorruptFileError
        It is no such archive, or holds pickles, code or calls of other functions.
    """
    try:
        with ZipFile(file) as archive:
            members = {member.partition("/")[2]: member for member in archive.namelist()}
            for member in members:
                _demand(FILES.fullmatch(member), name, f"a part {member!r}")
            _demand(not archive.read(members["data/sample_inputs/model.pt"]), name, "pickled inputs")
            for part in ("weights", "constants"):
                config = json.loads(archive.read(members[f"data/{part}/model_{part}_config.json"]))["config"]
                for key, entry in config.items():
                    _demand(entry["use_pickle"] is False, name, f"the pickled tensor {key!r}")
                    _demand(re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]), name, f"the object {key!r}")
            _check_graph(json.loads(archive.read(members["models/model.json"])), name)
            return {
                member.removeprefix("extra/"): archive.read(whole).decode()
                for member, whole in members.items()
                if member.startswith("extra/")
            }
    except CorruptFileError:
        raise
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        raise CorruptFileError(f"{name} is damaged or no .pt2 file: export again") from error


def _check_graph(model: Any, name: object) -> None:
    _demand(not model.get("guards_code"), name, "code to run")
    for key, value in _entries(model):
        if key == "expr_str":
            _demand(EXPRESSION.fullmatch(value), name, f"the expression {value!r}")
        elif key == "target" and isinstance(value, str) and "." in value and value.startswith(("torch", "_op", "math")):
            _demand(OPERATOR.fullmatch(value), name, f"a call of {value!r}")
        elif key in ("in_spec", "out_spec") and isinstance(value, str) and value:
            for kind in (entry for word, entry in _entries(json.loads(value)) if word == "type"):
                _demand(kind is None or STRUCTURE.fullmatch(kind), name, f"the structure {kind!r}")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield all names with their values, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _demand(met: object, name: object, what: str) -> None:
    if not met:
        raise CorruptFileError(f"{name} holds {what}, which no file of Longway's has: it is not read; export again")
