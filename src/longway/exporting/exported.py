"""Exported files as classifiers: the predictions of the original model without its code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from longway.data.samples import PIECE_NUMBERS
from longway.data.validation import check_finite, check_images, check_logits
from longway.exporting.record import Record
from longway.utils.device import resolve_device
from longway.utils.errors import LongwayError, nearest

SUFFIXES = (".onnx", ".pt2")
BATCH = 256
"""Samples per batch, at most."""

Run = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


def is_exported(path: str | Path) -> bool:
    """Return whether a file's name is that of an exported file."""
    return Path(path).suffix in SUFFIXES


def check_suffix(path: Path) -> str:
    """Return the suffix of an exported file; raise on others."""
    if path.suffix not in SUFFIXES:
        raise LongwayError(f"{path}: the end of its name says the format; {nearest(path.suffix, SUFFIXES)}")
    return path.suffix


def load_exported(path: str | Path, *, device: str = "auto") -> Exported:
    """Open an exported file.

    Parameters
    ----------
    path : str or Path
        ``NAME.onnx``, which onnxruntime runs, or ``NAME.pt2``, which torch runs on the CPU.
    device : str, default "auto"
        Of onnxruntime: "cpu", "cuda", ...; a GPU where there is one.

    Returns
    -------
    Exported

    Raises
    ------
    LongwayError
        There is no such file, it is damaged, it was not exported by Longway, or what runs it is not installed.
    """
    path = Path(path)
    suffix = check_suffix(path)
    if not path.is_file():
        raise LongwayError(f"{path}: no such file; give a file that `longway export` wrote")
    if suffix == ".pt2":
        from longway.exporting.pt2_file import read

        return Exported(*read(path))
    from longway.exporting.onnx_file import read as read_onnx

    return Exported(*read_onnx(path, str(resolve_device(device))))


class Exported:
    """A classifier that runs an exported graph.

    Parameters
    ----------
    record : Record
        What the file says of itself.
    run : callable
        Arrays by name of input to logits and probabilities.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels in the order of columns.
    supervision_ : str
        The group labels that the fit used.
    name : str
        Of the method.
    """

    def __init__(self, record: Record, run: Run) -> None:
        self.record, self.run = record, run
        self.classes_ = record.labels
        self.supervision_ = record.supervision
        self.name = record.method
        self._tokens: Callable[[list[str]], dict[str, np.ndarray]] | None = None

    def decision_function(self, X: Any) -> np.ndarray:
        """Return logits of shape (n, C); with two classes their difference, of shape (n,)."""
        logits = self._scores(X)[0]
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities of shape (n, C), columns as in ``classes_``.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, c, h, w), or sequence of str
            Features, images of uint8 or in [0, 1], or texts, whichever the graph takes.
        """
        return self._scores(X)[1]

    def predict(self, X: Any) -> np.ndarray:
        """Return labels of shape (n,)."""
        return self.classes_[self._scores(X)[0].argmax(1)]

    def _scores(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        parts = [self.run(inputs) for inputs in self._batches(X)]
        logits, probabilities = (np.concatenate(piece) for piece in zip(*parts, strict=True))
        check_logits(logits, len(self.classes_))
        check_logits(probabilities, len(self.classes_))
        return logits, probabilities

    def _batches(self, X: Any) -> Iterator[dict[str, np.ndarray]]:
        if len(X) == 0:
            raise LongwayError("X is empty: at least one row is needed")
        size = max(1, min(BATCH, PIECE_NUMBERS // max(1, int(np.prod(self.record.shape)))))
        for start in range(0, len(X), size):
            piece = X[start : start + size]
            yield self._texts(piece) if self.record.kind == "tokens" else {self.record.inputs[0]: self._array(piece)}

    def _texts(self, texts: Any) -> dict[str, np.ndarray]:
        from longway.exporting.texts import make_tokenizer

        assert self.record.tokenizer is not None
        self._tokens = self._tokens or make_tokenizer(self.record.tokenizer)
        words = list(texts)
        if not all(isinstance(text, str) for text in words):
            raise LongwayError("X must hold texts: this model takes them as they are")
        return self._tokens(words)

    def _array(self, piece: Any) -> np.ndarray:
        shape = tuple(self.record.shape)
        array = np.asarray(piece)
        if array.ndim == 4 and self.record.kind == "images":
            array = check_images(array, "X")
            if array.shape[1] == 1 and shape[0] == 3:
                array = array.repeat(3, axis=1)
        if array.shape[1:] != shape or array.dtype.kind not in "fiub":
            raise LongwayError(
                f"X holds inputs of type {array.dtype} and shape {array.shape[1:]}; this model takes "
                f"{self.record.input}"
            )
        array = np.ascontiguousarray(array, dtype=np.float32)
        check_finite(array, "X")
        return array
