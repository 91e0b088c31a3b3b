"""Exported graphs as ONNX files, ``.onnx``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from longway.backbones.adapter import import_optional, one_line
from longway.backbones.onnx import check_graph, open_session
from longway.exporting.quiet import quietly
from longway.exporting.record import OUTPUTS, Record
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.storage import atomic_file

OPSET = 18
"""The oldest operator set that torch writes, which most runtimes read."""
LARGEST = 2**31 - 1
"""Maximum size of a file of this format."""


def check_opset(opset: int | None) -> int:
    """Return the version of ONNX's operators to write."""
    onnx = import_optional("onnx", "'longway[onnx]'", "export to ONNX")
    import_optional("onnxscript", "'longway[onnx]'", "export to ONNX")
    last = onnx.defs.onnx_opset_version()
    if opset is not None and (not isinstance(opset, int) or isinstance(opset, bool) or not OPSET <= opset <= last):
        raise LongwayError(f"opset={opset!r} must be a whole number from {OPSET} to {last}")
    return OPSET if opset is None else opset


def convert(program: ExportedProgram, inputs: tuple[str, ...], opset: int, outputs: tuple[str, ...] = OUTPUTS) -> Any:
    """Return a traced network as an ONNX model.

    Parameters
    ----------
    program : ExportedProgram
    inputs : tuple of str
        Names of its inputs.
    opset : int
    outputs : tuple of str, default ("logits", "probabilities")

    Raises
    ------
    LongwayError
        It uses something that ONNX has no word for.
    """
    try:
        with quietly():
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=inputs,
                output_names=outputs,
                opset_version=opset,
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        raise LongwayError(
            f"the model cannot be written as ONNX ({one_line(error.__cause__ or error)}): export to a .pt2 file, or "  # type: ignore[arg-type]
            "leave out backbone= to export the head alone"
        ) from error
    assert made is not None
    model = made.model_proto
    for entry in (model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        del entry.metadata_props[:]  # the files and lines of this machine are nobody else's business
    return model


def write(path: Path, model: Any, record: Record) -> None:
    """Write an ONNX model with its record."""
    for name, text in record.to_metadata().items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, text
    if model.ByteSize() > LARGEST:
        raise LongwayError(f"{path} would be larger than the 2 GiB that an ONNX file can have: export to a .pt2 file")
    with atomic_file(path) as file:
        file.write(model.SerializeToString())


def read(path: Path, device: str = "cpu") -> tuple[Record, Callable[[dict[str, np.ndarray]], list[np.ndarray]]]:
    """Read a file of ``write``.

    Returns
    -------
    record : Record
    run : callable
        Arrays by input to both outputs.

    Raises
    ------
    LongwayError
        The file is damaged or not one of Longway's.
    """
    onnx = import_optional("onnx", "'longway[onnx]'", str(path))
    content = path.read_bytes()
    try:
        model = onnx.load_from_string(content)
    except Exception as error:
        raise CorruptFileError(f"{path} is damaged or no ONNX file ({one_line(error)}): export it again") from error
    check_graph(model, str(path))
    record = Record.from_metadata({entry.key: entry.value for entry in model.metadata_props}, path)
    del model
    session = open_session(content, torch.device(device), str(path))
    inputs, outputs = [each.name for each in session.get_inputs()], [each.name for each in session.get_outputs()]
    if set(inputs) != set(record.inputs) or not set(OUTPUTS) <= set(outputs):
        raise CorruptFileError(f"{path} does not take and give what its record says: export again")

    def run(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            return session.run(list(OUTPUTS), arrays)
        except Exception as error:
            raise LongwayError(f"{path} cannot be run on these inputs ({one_line(error)})") from error

    return record, run
