"""The contents that a ``.pt2`` file may have; torch would unpickle, evaluate or call anything else: it is refused.

torch reads an archive with a zip reader of its own, which may take other members than the one here. So it never sees
the file: it is given a new archive, made of the members that were checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from longway.utils.errors import CorruptFileError
from longway.utils.json_input import parse_json

FILES = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|extra/[\w.]+\.json|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id)"
)
MODEL, INPUTS = "models/model.json", "data/sample_inputs/model.pt"
MEMBERS = 20_000
LARGEST_GRAPH = 2**26
NAME = re.compile(r"[\w.-]*")
"""Names become source code when torch compiles the graph: they hold nothing that could be a call."""
EXPRESSION = re.compile(
    r"(?!.*\*\s*\*)(?=.{1,1000}$)"  # no powers: 9**9**9 would be computed
    r"(Symbol\('[su]\d+'(, \w+=(True|False))*\)|Integer\(|(Add|Mul|Max|Min|FloorDiv|Mod|PythonMod|CeilDiv)\("
    r"|[su]\d+|\d{1,19}|[\s+\-*(),])+"
)
"""Symbolic sizes as torch writes them, such as ``2*s27 + 1`` or ``Mul(Integer(2), Symbol('s27', integer=True))``."""
OPERATOR = re.compile(  # all of aten but what reads files or accesses memory without checking bounds
    r"torch\.ops\.aten\.(?!(from_file|set|set_|set_data|data|_unsafe_(masked_)?index\w*|\w*resize\w*|_sparse_\w*unsafe)\.)"
    r"\w+\.\w+|_operator\.(getitem|add|sub|mul|floordiv|mod|neg)"
)
STRUCTURE = re.compile(r"builtins\.(tuple|list|dict)")
FREE = ("as_string", "as_strings", "torch_version")
"""Strings that never become code."""
FORBIDDEN = ("as_operator", "as_graph", "as_custom_obj", "custom_obj", "string_to_argument", "as_string_to_argument")


def clean_archive(content: bytes, name: object) -> tuple[dict[str, str], bytes]:
    """Check that a ``.pt2`` file holds tensors and a graph of torch's own operators alone, and pack these anew.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : object
        Of the file, for messages.

    Returns
    -------
    extra : dict of str to str
        Its extra files, by name.
    archive : bytes
        The checked members; what torch is to read.

    Raises
    ------
    CorruptFileError
        It is no such archive, or holds pickles, code or calls of other functions.
    """
    try:
        parts = _members(content, name)
        _demand(not parts[INPUTS], name, "pickled inputs")
        for folder in ("weights", "constants"):
            file = f"data/{folder}/model_{folder}_config.json"
            config = parse_json(parts[file])
            _check_tensors(config["config"], parts, f"data/{folder}", name)
            parts[file] = json.dumps(config).encode()
        model = parse_json(parts[MODEL], largest=LARGEST_GRAPH)
        _check_graph(model, name)
        parts[MODEL] = json.dumps(model).encode()
        extra = {part.removeprefix("extra/"): parts[part].decode() for part in parts if part.startswith("extra/")}
    except CorruptFileError:
        raise
    except Exception as error:
        raise CorruptFileError(f"{name} is damaged or no .pt2 file: export again") from error
    archive = BytesIO()
    with ZipFile(archive, "w", ZIP_STORED) as new:
        for part, piece in parts.items():
            new.writestr(f"model/{part}", piece)
    return extra, archive.getvalue()


def _members(content: bytes, name: object) -> dict[str, bytes]:
    """Return the members by name, without the root; every one is known, and there once."""
    whole = content.startswith(b"PK\3\4") and content[-22:].startswith(b"PK\5\6")
    with ZipFile(BytesIO(content)) as archive:
        entries = archive.infolist()
        _demand(whole and min(entry.header_offset for entry in entries) == 0, name, "data around its archive")
        _demand(len(entries) <= MEMBERS, name, f"{len(entries)} parts")
        _demand(all(entry.compress_type == ZIP_STORED for entry in entries), name, "compressed parts")
        _demand(sum(entry.file_size for entry in entries) <= len(content), name, "parts that overlap")
        roots = {entry.filename.partition("/")[0] for entry in entries}
        _demand(len(roots) == 1, name, f"{len(roots)} folders")
        parts: dict[str, bytes] = {}
        for entry in entries:
            part = entry.filename.partition("/")[2]
            _demand(FILES.fullmatch(part), name, f"a part {entry.filename!r}")
            _demand(part not in parts, name, f"the part {part!r} twice")
            parts[part] = archive.read(entry)
    return parts


def _check_tensors(config: dict[str, Any], parts: dict[str, bytes], folder: str, name: object) -> None:
    for key, entry in config.items():
        _demand(NAME.fullmatch(key), name, f"a tensor named {key!r}")
        _demand(entry["use_pickle"] is False, name, f"the pickled tensor {key!r}")
        _demand(re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]), name, f"the object {key!r}")
        numbers = 1
        for size in entry["tensor_meta"]["sizes"]:
            _demand(type(size["as_int"]) is int and size["as_int"] >= 0, name, f"the size {size['as_int']!r}")
            numbers *= size["as_int"]
        stored = len(parts[f"{folder}/{entry['path_name']}"])
        _demand(numbers <= stored, name, f"the tensor {key!r} with more numbers than it has bytes")


def _check_graph(model: dict[str, Any], name: object) -> None:
    _demand(not model.get("guards_code"), name, "code to run")
    for node in model["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {}  # of no use to run it
        _demand(OPERATOR.fullmatch(node["target"]), name, f"a call of {node['target']!r}")
    for key, value in _strings(model):
        if key in ("in_spec", "out_spec"):
            if value:
                _check_structure(parse_json(value), name)
        elif key == "expr_str":
            _demand(EXPRESSION.fullmatch(value), name, f"the expression {value[:100]!r}")
        elif key not in FREE:
            _demand(key not in FORBIDDEN and NAME.fullmatch(value), name, f"the {key} {value[:100]!r}")


def _check_structure(spec: list[Any], name: object) -> None:
    """Check a nested structure of inputs or outputs: no types but plain ones, whose context torch would import."""
    pending = [spec[1]]
    while pending:
        node = pending.pop()
        kind, context = node["type"], node["context"]
        _demand(kind is None or STRUCTURE.fullmatch(kind), name, f"the structure {kind!r}")
        keys = [] if context is None else parse_json(context) or []
        plain = isinstance(keys, list) and all(isinstance(key, str) and NAME.fullmatch(key) for key in keys)
        _demand(plain, name, f"the structure {str(context)[:100]!r}")
        pending += node["children_spec"]


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield all strings, at any depth, with the last name above each; names are strings named "name"."""
    if isinstance(value, dict):
        for inner, item in value.items():
            yield "name", inner
            if inner in FORBIDDEN:
                yield inner, str(item)
            yield from _strings(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, key)
    elif isinstance(value, str):
        yield key, value


def _demand(met: object, name: object, what: str) -> None:
    if not met:
        raise CorruptFileError(f"{name} holds {what}, which no file of Longway's has: it is not read; export again")
