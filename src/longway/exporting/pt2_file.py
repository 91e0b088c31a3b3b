"""Exported graphs as plain torch files, ``.pt2``."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from longway.backbones.adapter import one_line
from longway.exporting.archive import clean_archive
from longway.exporting.quiet import quietly
from longway.exporting.record import OUTPUTS, Record
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.storage import atomic_file

EXTRA = "longway."


def trace(network: nn.Module, example: tuple[Tensor, ...], longest: int | None = None) -> ExportedProgram:
    """Trace a network for batches of any size, and tokens of any number.

    Parameters
    ----------
    network : nn.Module
        In eval mode.
    example : tuple of Tensor
        Inputs of two rows.
    longest : int, optional
        Number of tokens that a text can have.

    Raises
    ------
    LongwayError
        It does things that no graph can hold.
    """
    axes = {0: Dim("batch")}
    tokens = Dim("tokens", min=2, max=longest)
    shapes = tuple({**axes, 1: tokens} if x.dtype == torch.int64 else axes for x in example)
    try:
        with quietly(), torch.no_grad():
            program = torch.export.export(network.eval(), example, dynamic_shapes=shapes)
    except Exception as error:
        raise LongwayError(
            f"the model cannot be exported, as its network does what no graph can hold ({one_line(error)}): leave out "
            "backbone= to export the head alone, or make that network's code traceable by torch.export"
        ) from error
    for node in program.graph.nodes:  # the files and lines of this machine are nobody else's business
        node.meta.pop("stack_trace", None)
    return program


def write(path: Path, program: ExportedProgram, record: Record) -> None:
    """Write a traced network with its record; there is no pickle in the file."""
    program.example_inputs = None
    extra = {f"{name}.json": text for name, text in record.to_metadata().items()}
    content = BytesIO()
    with quietly():
        torch.export.save(program, content, extra_files=extra)
    clean_archive(content.getvalue(), path)
    with atomic_file(path) as file:
        file.write(content.getvalue())


def read(path: Path) -> tuple[Record, Callable[[dict[str, np.ndarray]], list[np.ndarray]]]:
    """Read a file of ``write``.

    Returns
    -------
    record : Record
    run : callable
        Arrays by input to both outputs.

    Raises
    ------
    LongwayError
        The file is damaged, is not one of Longway's, or holds more than a plain graph.
    """
    extra, archive = clean_archive(path.read_bytes(), path)
    record = Record.from_metadata({name.removesuffix(".json"): text for name, text in extra.items()}, path)
    try:
        with quietly():
            module = torch.export.load(BytesIO(archive)).module(check_guards=False)
    except Exception as error:
        raise CorruptFileError(f"{path} cannot be run by torch ({one_line(error)}): export again") from error
    for name, value in module.state_dict().items():
        if value.is_floating_point() and value.isnan().any():
            raise CorruptFileError(f"{path} has NaN weights ({name}): export again")

    def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            with torch.inference_mode():
                outputs = module(*(torch.from_numpy(inputs[name]) for name in record.inputs))
                return [outputs[name].numpy() for name in OUTPUTS]
        except Exception as error:
            raise LongwayError(f"{path} cannot be run on these inputs ({one_line(error)})") from error

    return record, run
