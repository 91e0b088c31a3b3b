"""`longway export`: a saved model as one file that runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from longway.cli._options import AsJson, Backbone
from longway.cli.commands import Model


def export(
    model: Model,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="NAME.onnx for ONNX, NAME.pt2 for plain torch.", show_default=False
        ),
    ],
    backbone: Backbone = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            min=4,
            metavar="PIXELS",
            help="Side of images, where the backbone took them as large as they were.",
            show_default=False,
        ),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option("--opset", min=18, metavar="NUMBER", help="Version of ONNX's operators.", show_default="18"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write MODEL as one graph of preprocessing, backbone and head; without --backbone, the graph takes features."""
    from longway.cli import _models, _printing
    from longway.exporting import export as export_model

    _models.check_out(out)
    record = export_model(model, out, backbone=backbone, size=size, opset=opset, overwrite=overwrite)
    if as_json:
        _printing.data({"file": str(out), **record.summary()})
    else:
        _printing.say(f"{out}: {record.method}, classes {', '.join(map(str, record.classes))}")
        _printing.say(f"Takes {record.input}")
        _printing.say("Gives logits and probabilities (batch, classes)")
