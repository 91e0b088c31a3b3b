"""The contents that a ``.pt2`` file may have; torch would unpickle, evaluate or call anything else: it is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from longway.utils.errors import CorruptFileError

INPUTS = "data/sample_inputs/model.pt"
"""The part that torch unpickles unless it is empty."""
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


def clean_archive(content: bytes, name: object) -> tuple[bytes, dict[str, str]]:
    """Check a ``.pt2`` file, and make a new one from nothing but the parts that were checked.

    A zip file can hold a part twice, or mean different things to different readers; torch's own reader must not get to
    see it. The new file holds each checked part once, and no pickled inputs.

    Parameters
    ----------
    content : bytes
        All of the file.
    name : object
        Of the file, for messages.

    Returns
    -------
    archive : bytes
        For ``torch.export.load``.
    extra : dict of str to str
        Its extra files, by name.

    Raises
    ------
    CorruptFileError
        It is no such archive, or holds pickles, code, calls of other functions, or a part more than once.
    """
    try:
        parts = _parts(content, name)
        _demand(not parts.pop(INPUTS), name, "pickled inputs")
        for part in ("weights", "constants"):
            path = f"data/{part}/model_{part}_config.json"
            config = json.loads(parts[path])
            for key, entry in config["config"].items():
                _demand(entry["use_pickle"] is False, name, f"the pickled tensor {key!r}")
                _demand(re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]), name, f"the object {key!r}")
            parts[path] = json.dumps(config).encode()
        graph = json.loads(parts["models/model.json"])
        _check_graph(graph, name)
        parts["models/model.json"] = json.dumps(graph).encode()
        extra = {part.removeprefix("extra/"): parts[part].decode() for part in parts if part.startswith("extra/")}
    except CorruptFileError:
        raise
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise CorruptFileError(f"{name} is damaged or no .pt2 file: export again") from error
    rebuilt = BytesIO()
    with ZipFile(rebuilt, "w", ZIP_STORED) as archive:
        for part, held in {**parts, INPUTS: b""}.items():
            archive.writestr(ZipInfo(f"archive/{part}"), held)
    return rebuilt.getvalue(), extra


def _parts(content: bytes, name: object) -> dict[str, bytes]:
    """Return the parts of an archive, each of which must be there once, under one root, and uncompressed."""
    found: dict[str, bytes] = {}
    with ZipFile(BytesIO(content)) as archive:
        roots = {entry.filename.partition("/")[0] for entry in archive.infolist()}
        _demand(len(roots) == 1, name, f"{len(roots)} roots")
        for entry in archive.infolist():
            part = entry.filename.partition("/")[2]
            _demand(FILES.fullmatch(part), name, f"a part {part!r}")
            _demand(part not in found, name, f"the part {part!r} more than once")
            # Longway's files are stored as they are: a small file cannot unfold into a large one.
            _demand(
                entry.compress_type == ZIP_STORED and not entry.flag_bits & 1, name, "compressed or encrypted parts"
            )
            found[part] = archive.read(entry)
    _demand(sum(map(len, found.values())) <= len(content), name, "parts that overlap")
    return found


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
