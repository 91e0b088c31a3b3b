"""Merging of an ONNX backbone with normalisation and head into one graph."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from longway.backbones import Backbone
from longway.backbones.adapter import import_optional, one_line
from longway.backbones.onnx import OnnxEncoder
from longway.exporting.network import Head, Normalise, PooledHead
from longway.exporting.onnx_file import convert
from longway.exporting.pt2_file import trace
from longway.utils.errors import LongwayError


def merged(backbone: Backbone, head: Head, images: Tensor, opset: int) -> Any:
    """Return one ONNX model of normalisation, backbone, pooling and head.

    Parameters
    ----------
    backbone : Backbone
        Its module is an `OnnxEncoder`.
    head : Head
    images : Tensor of shape (2, 3, h, w)
        An example.
    opset : int

    Raises
    ------
    LongwayError
        Its graph takes batches of one size only, or cannot be joined to others.
    """
    onnx = import_optional("onnx", "'longway[onnx]'", "export to ONNX")
    encoder = backbone.module
    assert isinstance(encoder, OnnxEncoder)
    if encoder.batch is not None or encoder.half:
        what = "half-precision images" if encoder.half else f"batches of {encoder.batch}"
        raise LongwayError(
            f"backbone {backbone.name} takes {what} only: export it again for float32 batches of any size, or leave "
            "out backbone= to export the head alone"
        )
    normalise = Normalise(backbone.transform)
    front = convert(trace(normalise, (images,)), ("images",), opset, ("normalised",))
    features = encoder(normalise(images))
    tail = convert(trace(PooledHead(head, backbone.pooling), (features,)), ("features",), opset)
    try:
        middle = _fitting(onnx, encoder.model, encoder.output, opset, front.ir_version)
        compose = onnx.compose
        joined = compose.merge_models(
            compose.add_prefix(front, "front/", rename_inputs=False, rename_outputs=False),
            compose.add_prefix(middle, "backbone/"),
            io_map=[("normalised", f"backbone/{encoder.input}")],
        )
        return compose.merge_models(
            joined,
            compose.add_prefix(tail, "head/", rename_outputs=False),
            io_map=[(f"backbone/{encoder.output}", "head/features")],
        )
    except Exception as error:
        raise LongwayError(
            f"backbone {backbone.name} cannot be joined with its head in one graph ({one_line(error)}): export it "
            f"again with opset {opset}, or leave out backbone= to export the head alone"
        ) from error


def _fitting(onnx: Any, model: Any, output: str, opset: int, ir_version: int) -> Any:
    """Return the backbone's graph with one output, in the same version of the operators."""
    own = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    whole = model if own == opset else onnx.version_converter.convert_version(model, opset)
    copy = onnx.ModelProto()
    copy.CopyFrom(whole)
    copy.ir_version = ir_version
    kept = [value for value in copy.graph.output if value.name == output]
    del copy.graph.output[:]
    copy.graph.output.extend(kept)
    return copy
