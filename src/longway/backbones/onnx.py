"""Image models in ONNX files: ``path/to/file.onnx``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longway.backbones.adapter import LoadedEncoder, LoadRequest, expand_path, import_optional, one_line
from longway.utils.errors import CorruptFileError, LongwayError, nearest
from longway.utils.storage import hash_file, hash_json


def load(spec: str, request: LoadRequest) -> LoadedEncoder:
    """Open a file whose only input is float images (N, 3, H, W); take its first output, or the requested value."""
    path = expand_path(spec)
    name = path.name
    onnx = import_optional("onnx", "'longway[onnx]'", f"backbone {name}")
    if not path.is_file():
        raise LongwayError(f"backbone file {path} does not exist: check the path")
    if request.precision != "float32":
        raise LongwayError(f"backbone {name} has its own precision: leave out precision={request.precision!r}")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise CorruptFileError(f"backbone file {path} is no ONNX file ({one_line(error)}): export it again") from error
    outputs = [value.name for value in model.graph.output]
    wanted = request.layer or outputs[0]
    if wanted not in outputs:
        _add_output(model, wanted, name)
    files = [hash_file(path), *map(hash_file, _external_files(model, path))]
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:
        raise CorruptFileError(f"the weights of backbone {name} cannot be read ({one_line(error)})") from error
    check_graph(model, f"backbone {name}")
    session = open_session(model.SerializeToString(), request.device, name)
    encoder = OnnxEncoder(session, wanted, hash_json([*files, wanted]), name, model)
    return LoadedEncoder(name, encoder, defaults={"size": encoder.size}, outputs_layer=True)


def _external_files(model: Any, path: Path) -> list[Path]:
    """Return the files in which a large model keeps its weights; all must lie in its folder."""
    folder = path.parent.resolve()
    names = {entry.value for part in _tensors(model) for entry in part.external_data if entry.key == "location"}
    for name in sorted(names):
        file = (folder / name).resolve()
        if not file.is_relative_to(folder):
            raise LongwayError(f"backbone {path} keeps weights outside its folder ({name!r}): move them next to it")
        if not file.is_file():
            raise LongwayError(f"backbone {path} keeps weights in {name!r}, which is no file: put it next to it")
    return [folder / name for name in sorted(names)]


def check_graph(model: Any, name: str) -> None:
    """Raise if a model in memory has weights elsewhere, NaN weights, or loops, which nothing bounds.

    Raises
    ------
    CorruptFileError
    """
    from onnx import TensorProto, numpy_helper

    for graph in _graphs(model):
        if loop := next((node.op_type for node in graph.node if node.op_type in ("Loop", "Scan")), None):
            raise CorruptFileError(f"{name} holds a {loop}, which may never end: export it without loops")
    floats = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            raise CorruptFileError(f"{name} keeps weights in other files: export it as one file")
        try:
            bad = tensor.data_type in floats and np.isnan(numpy_helper.to_array(tensor)).any()
        except Exception as error:
            raise CorruptFileError(f"{name} has a damaged tensor ({one_line(error)}): export it again") from error
        if bad:
            raise CorruptFileError(f"{name} has NaN weights ({tensor.name}): export it again")


def _graphs(model: Any) -> Iterator[Any]:
    """Yield the graph and functions of a model, and all graphs within."""
    pending = [model.graph, *model.functions]
    pending += [graph for each in model.training_info for graph in (each.initialization, each.algorithm)]
    while pending:
        graph = pending.pop()
        yield graph
        pending += [inner for node in graph.node for each in node.attribute for inner in (each.g, *each.graphs)]


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        attributes = [each for node in graph.node for each in node.attribute]
        attributes += getattr(graph, "attribute_proto", [])
        yield from getattr(graph, "initializer", [])
        sparse = [*getattr(graph, "sparse_initializer", [])]
        for each in attributes:
            yield from (each.t, *each.tensors)
            sparse += [each.sparse_tensor, *each.sparse_tensors]
        for part in sparse:
            yield from (part.values, part.indices)


def open_session(content: bytes | str, device: torch.device, name: str) -> Any:
    """Create an onnxruntime session with as many threads as torch; ``content`` is a model or its path.

    Raises
    ------
    CorruptFileError
        If the model cannot be run.
    """
    runtime = import_optional("onnxruntime", "'longway[onnx]'", name)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    wanted = (["CUDAExecutionProvider"] if device.type == "cuda" else []) + ["CPUExecutionProvider"]
    providers = [provider for provider in wanted if provider in runtime.get_available_providers()]
    try:
        return runtime.InferenceSession(content, options, providers=providers)
    except Exception as error:
        raise CorruptFileError(f"{name} cannot be run as ONNX ({one_line(error)}): export it again") from error


class OnnxEncoder:
    """Image encoder that runs an ONNX graph.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    output : str
        Name of the output value.
    fingerprint : str
        Hash of the file and of ``output``.
    name : str
        For messages.
    model : onnx.ModelProto, optional
        The model of the session, including its weights.

    Attributes
    ----------
    input : str
        Name of the input value.
    batch : int or None
        The fixed batch size, if any.
    half : bool
        True if the input is float16.
    size : int or None
        Side of the images, if fixed.
    """

    def __init__(self, session: Any, output: str, fingerprint: str, name: str, model: Any = None) -> None:
        self.session, self.output, self.fingerprint, self.model = session, output, fingerprint, model
        inputs = session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else None
        if shape is None or len(shape) != 4 or "float" not in inputs[0].type:
            found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise LongwayError(f"backbone {name} takes {found}: it must take float images (N, 3, H, W) alone")
        self.input, self.half = inputs[0].name, inputs[0].type == "tensor(float16)"
        self.batch = shape[0] if isinstance(shape[0], int) else None
        self.size = shape[2] if isinstance(shape[2], int) and shape[2] == shape[3] else None

    def __call__(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to the output of the graph."""
        images = x.contiguous().cpu().numpy()
        images = images.astype(np.float16) if self.half else images
        return torch.from_numpy(np.concatenate([self._run(part) for part in self._split(images)])[: len(images)])

    def _run(self, images: np.ndarray) -> np.ndarray:
        return self.session.run([self.output], {self.input: images})[0]

    def _split(self, images: np.ndarray) -> list[np.ndarray]:
        """Divide a batch into batches of the fixed size, if any; the last one is padded with copies of an image."""
        if self.batch is None:
            return [images]
        missing = -len(images) % self.batch
        filled = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        return np.split(filled, len(filled) // self.batch)


def _add_output(model: Any, wanted: str, name: str) -> None:
    values = [value for node in model.graph.node for value in node.output if value]
    if wanted not in values:
        raise LongwayError(f"backbone {name} has no layer={wanted!r}; {nearest(wanted, values[-20:])}")
    model.graph.output.add().name = wanted
