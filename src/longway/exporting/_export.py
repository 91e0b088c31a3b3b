"""`longway.export`: a fitted model, and its backbone if any, as one file that runs anywhere."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from longway._version import __version__
from longway.backbones import Backbone, load_backbone
from longway.backbones.onnx import OnnxEncoder
from longway.backbones.preprocessing import InputSpec, same_backbone
from longway.exporting import pt2_file
from longway.exporting.exported import Run, check_suffix, load_exported
from longway.exporting.network import Head, ImageClassifier, TextClassifier
from longway.exporting.record import Record
from longway.exporting.texts import describe_tokenizer
from longway.methods._base import Method
from longway.methods._persistence import describe, load
from longway.utils.errors import LongwayError

TOLERANCE = 1e-3
"""Largest accepted difference of a probability from torch's: above rounding, below any wrong operator."""


class Part(NamedTuple):
    """The model to export, with the facts for its record."""

    network: nn.Module
    head: Head
    example: tuple[Tensor, ...]
    about: dict[str, Any]


def export(
    model: Method | str | Path,
    path: str | Path,
    *,
    backbone: Backbone | str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    size: int | None = None,
    opset: int | None = None,
    overwrite: bool = False,
) -> Record:
    """Write a fitted model as one graph of preprocessing, backbone and head.

    Parameters
    ----------
    model : Method, str or Path
        Fitted, or the file that it was saved to.
    path : str or Path
        ``NAME.onnx`` for ONNX, ``NAME.pt2`` for plain torch (`torch.export.load`).
    backbone : Backbone, str or Path, optional
        The encoder whose features the model was fitted on, on the CPU, or how `load_backbone` calls it; it goes into
        the graph, with the normalisation of images. Without it, the graph takes features.
    about : mapping, optional
        What `save` was given, where ``model`` is no file.
    size : int, optional
        Side of images, where the backbone took them as large as they were.
    opset : int, default 18
        Version of ONNX's operators.
    overwrite : bool, default False
        Replace a file that is there already.

    Returns
    -------
    Record
        What the file says of itself; ``input`` is what the graph takes, in words.

    Raises
    ------
    LongwayError
        The model is none, or not of this backbone; the file exists; a package is missing; or the network does what no
        graph can hold.
    sklearn.exceptions.NotFittedError
        If the method is not fitted.

    Notes
    -----
    The graph has batches of any size and computes in the precision of the model's weights, convolutions in float32. It
    is run once before the file gets its name, and compared with the model.
    """
    path = Path(path)
    suffix = check_suffix(path)
    if path.exists() and not overwrite:
        raise LongwayError(f"{path} exists already: choose another path, or overwrite=True to replace it")
    if not isinstance(model, Method):
        model, about = load(model), {**describe(model)["about"], **(about or {})}
    check_is_fitted(model, "module_")
    if suffix == ".onnx":
        from longway.exporting.onnx_file import check_opset

        opset = check_opset(opset)
    elif opset is not None:
        raise LongwayError("opset= is of ONNX: leave it out for a .pt2 file")
    form = InputSpec.from_dict((about or {}).get("form", {}))
    part = _part(model, form, backbone, size)
    record = _record(model, part, dict(about or {}))
    _write(path, part, record, opset)
    return record


def _part(model: Method, form: InputSpec, backbone: Backbone | str | Path | None, size: int | None) -> Part:
    head = Head(model.module_)
    if backbone is None:
        return _alone(model, head, form)
    if len(model.input_shape_) != 1:
        raise LongwayError("this model was fitted on images without a backbone: leave out backbone=")
    encoder = _encoder(backbone, form)
    part = _texts(head, encoder, form) if _takes_texts(encoder) else _images(head, encoder, form, size)
    return part._replace(about={**part.about, "backbone": {"name": encoder.name, **encoder.options}})


def _encoder(backbone: Backbone | str | Path, form: InputSpec) -> Backbone:
    if isinstance(backbone, Backbone):
        known = None if form.backbone is None else form.backbone["fingerprint"]
        if known is not None and known != backbone.fingerprint:
            raise LongwayError(
                f"backbone {backbone.name} is not the one that this model was fitted on (weights or code differ)"
            )
        if backbone.device.type != "cpu":
            raise LongwayError(f"backbone {backbone.name} is on {backbone.device}: load it with device='cpu'")
        return backbone
    if form.backbone is None:  # nobody has said which it was
        return load_backbone(backbone, device="cpu")
    return same_backbone(backbone, form, device="cpu")


def _takes_texts(encoder: Backbone) -> bool:
    return callable(getattr(encoder.module, "encode", None)) and not callable(encoder.module)


def _alone(model: Method, head: Head, form: InputSpec) -> Part:
    """Return a model without a backbone: its inputs are images or features, as in its fit."""
    shape = model.input_shape_
    about: dict[str, Any] = {"shape": list(shape), "form": form.to_dict()}
    if len(shape) == 3:
        words = f"float32 images (batch, {shape[0]}, {shape[1]}, {shape[2]}): channels first, values in [0, 1]"
        return Part(head, head, (torch.full((2, *shape), 0.5),), {**about, "kind": "images", "input": words})
    source = "" if form.backbone is None else f", as backbone {form.backbone['name']} gives them"
    columns = f": {', '.join(form.columns)}" if len(form.columns) == shape[0] else source
    words = f"float32 features (batch, {shape[0]}){columns}"
    return Part(head, head, (torch.zeros(2, *shape),), {**about, "kind": "features", "input": words})


def _images(head: Head, encoder: Backbone, form: InputSpec, size: int | None) -> Part:
    side = encoder.transform.size or size
    if side is None:
        raise LongwayError(
            f"backbone {encoder.name} took images as large as they were: say how large with size=, in pixels"
        )
    if size not in (None, side):
        raise LongwayError(f"size={size} is not the {side} pixels of backbone {encoder.name}: leave it out")
    encoder = encoder.sized(side)
    transform = encoder.transform
    outside = InputSpec(size=side, columns=form.columns, crop=transform.crop, interpolation=transform.interpolation)
    cropped = "" if transform.crop is None else f" and cropped to {transform.crop}"
    about = {
        "kind": "images",
        "shape": [3, side, side],
        "form": outside.to_dict(),
        "input": f"float32 images (batch, 3, {side}, {side}): RGB, channels first, values in [0, 1], resized "
        f"({transform.interpolation}){cropped}",
        "normalisation": {"mean": list(transform.mean), "std": list(transform.std)},
    }
    example = torch.linspace(0, 1, 2 * 3 * side * side).view(2, 3, side, side)
    _check_width(encoder.embed(example), head, encoder.name)
    return Part(ImageClassifier(encoder, head), head, (example,), about)


def _texts(head: Head, encoder: Backbone, form: InputSpec) -> Part:
    if not callable(getattr(encoder.module, "embed_tokens", None)):
        raise LongwayError(
            f"backbone {encoder.name} makes its tokens itself, which no graph can hold: leave out backbone= to export "
            "the head alone, which takes features"
        )
    tokenizer = describe_tokenizer(encoder.module.tokenizer, encoder.module.max_length, encoder.name)
    about = {
        "kind": "tokens",
        "shape": [],
        "form": InputSpec(columns=form.columns, texts=True).to_dict(),
        "input": "int64 input_ids and attention_mask (batch, tokens): what the tokenizer in the file's metadata makes",
        "tokenizer": tokenizer,
    }
    _check_width(encoder.embed(["one", "two"]), head, encoder.name)
    # From the vocabulary's middle; the second text is the shorter one
    ids = torch.arange(14).view(2, 7) + encoder.module.tokenizer.vocab_size // 2
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    return Part(TextClassifier(encoder, head), head, (ids, mask), about)


def _check_width(features: Tensor, head: Head, name: str) -> None:
    try:
        head(features)
    except RuntimeError as error:
        raise LongwayError(
            f"backbone {name} gives {features.shape[1]} features, but this model takes another number: give the one it "
            "was fitted on"
        ) from error


def _record(model: Method, part: Part, about: dict[str, Any]) -> Record:
    classes = model.classes_
    return Record(
        method=type(model).__name__,
        classes=classes.tolist(),
        classes_dtype=classes.dtype.str if classes.dtype.kind != "O" else "O",
        positive_class=classes.tolist()[1] if len(classes) == 2 else None,
        supervision=model.supervision_,
        longway=__version__,
        about={name: about[name] for name in ("data", "train_counts") if name in about},
        **part.about,
    )


def _write(path: Path, part: Part, record: Record, opset: int | None) -> None:
    """Write a temporary file, check that its output equals the model's, then rename it."""
    fresh = path.with_name(f".{path.stem}.partial-{secrets.token_hex(6)}{path.suffix}")
    try:
        _write_graph(fresh, part, record, opset)
        _compare(load_exported(fresh, device="cpu").run, part, record)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _write_graph(path: Path, part: Part, record: Record, opset: int | None) -> None:
    encoder = getattr(part.network, "backbone", None)
    if encoder is not None and isinstance(encoder.module, OnnxEncoder):
        if opset is None:
            raise LongwayError(f"backbone {encoder.name} is an ONNX file: export to .onnx, where the two are joined")
        from longway.exporting import merging, onnx_file

        onnx_file.write(path, merging.merged(encoder, part.head, part.example[0], opset), record)
        return
    program = pt2_file.trace(part.network, part.example, record.longest)
    if opset is None:
        pt2_file.write(path, program, record)
    else:
        from longway.exporting import onnx_file

        onnx_file.write(path, onnx_file.convert(program, record.inputs, opset), record)


def _compare(run: Run, part: Part, record: Record) -> None:
    """Run a written graph with batch sizes that differ from the traced one."""
    for rows in (1, 2, 5):
        inputs = [x[torch.arange(rows) % 2] for x in part.example]
        with torch.inference_mode():
            expected = part.network(*inputs)["probabilities"].numpy()
        found = run({name: x.numpy() for name, x in zip(record.inputs, inputs, strict=True)})[1]
        if found.shape != expected.shape or not np.allclose(found, expected, atol=TOLERANCE):
            raise LongwayError(
                "the exported graph does not give what the model gives, so it was not kept: export to the other format "
                "(.pt2 or .onnx)"
            )
