"""An image model in an ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longway.backbones.adapter import Loaded, Wish, needed, one_line
from longway.utils.errors import CorruptFileError, LongwayError, nearest
from longway.utils.storage import hash_file, hash_json


def load(spec: str, wish: Wish) -> Loaded:
    """Open a file whose only input is float images (N, 3, H, W); take its first output, or the requested value."""
    path = Path(os.path.expandvars(spec)).expanduser()
    name = path.name
    onnx = needed("onnx", "'longway[onnx]'", f"backbone {name}")
    if not path.is_file():
        raise LongwayError(f"backbone file {path} does not exist: check the path")
    if wish.precision != "float32":
        raise LongwayError(f"backbone {name} has its own precision: leave out precision={wish.precision!r}")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise CorruptFileError(f"backbone file {path} is no ONNX file ({one_line(error)}): export it again") from error
    outputs = [value.name for value in model.graph.output]
    wanted = wish.layer or outputs[0]
    if wanted not in outputs:
        _add_output(model, wanted, name)
    beside = {
        entry.value for part in model.graph.initializer for entry in part.external_data if entry.key == "location"
    }
    files = [hash_file(path), *(hash_file(path.parent / file) for file in sorted(beside))]
    session = open_session(
        model.SerializeToString() if not beside else _with_data(onnx, model, path), wish.device, name
    )
    encoder = OnnxEncoder(session, wanted, hash_json([*files, wanted]), name, model)
    return Loaded(name, encoder, defaults={"size": encoder.size}, layered=True)


def open_session(content: bytes | str, device: torch.device, name: str) -> Any:
    """Create a session of onnxruntime with as many threads as torch.

    Parameters
    ----------
    content : bytes or str
        A model, or the path of one.
    device : torch.device
    name : str
        For messages.

    Raises
    ------
    CorruptFileError
        It is not a model that can be run.
    """
    runtime = needed("onnxruntime", "'longway[onnx]'", name)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    here = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [each for each in (*here, "CPUExecutionProvider") if each in runtime.get_available_providers()]
    try:
        return runtime.InferenceSession(content, options, providers=providers)
    except Exception as error:
        raise CorruptFileError(f"{name} cannot be run as ONNX ({one_line(error)}): export it again") from error


class OnnxEncoder:
    """An ONNX graph as a function of images.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    output : str
        The value that it gives.
    fingerprint : str
        Hash of the file.
    name : str
        For messages.
    model : onnx.ModelProto, optional
        What the session runs, weights and all.

    Attributes
    ----------
    input : str
        The value that it takes.
    batch : int or None
        The only number of images that it takes.
    half : bool
        Whether it takes float16.
    size : int or None
        Side of the images that it takes.
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
        return torch.from_numpy(np.concatenate([self._run(piece) for piece in self._pieces(images)])[: len(images)])

    def _run(self, images: np.ndarray) -> np.ndarray:
        return self.session.run([self.output], {self.input: images})[0]

    def _pieces(self, images: np.ndarray) -> list[np.ndarray]:
        """Divide a batch into batches of the size that the file requires; the last one is padded with copies."""
        if self.batch is None:
            return [images]
        missing = -len(images) % self.batch
        filled = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        return np.split(filled, len(filled) // self.batch)


def _add_output(model: Any, wanted: str, name: str) -> None:
    known = [value for node in model.graph.node for value in node.output if value]
    if wanted not in known:
        raise LongwayError(f"backbone {name} has no layer={wanted!r}; {nearest(wanted, known[-20:])}")
    model.graph.output.add().name = wanted


def _with_data(onnx: Any, model: Any, path: Path) -> bytes:
    """Load weights from external files into the model."""
    onnx.load_external_data_for_model(model, str(path.parent))
    return model.SerializeToString()
