"""Explain HSFM's edits of its support by real samples and known attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from longway.explaining.attributes import Attribute, align, align_with_class
from longway.explaining.decoding import Decoder
from longway.explaining.result import ClassEdit, Direction, Edits, Ends, Neighbour
from longway.methods import HSFM
from longway.utils.progress import progress
from longway.utils.records import Example


def explain_edits(
    model: HSFM,
    classes: Sequence[str],
    X: np.ndarray,
    codes: np.ndarray,
    attributes: Sequence[Attribute],
    train: np.ndarray,
    *,
    example: Callable[[int, float], Example],
    ends: Callable[[np.ndarray], Ends],
    n_examples: int,
    decoder: Decoder | None,
    verbose: int,
) -> Edits:
    """Explain the edits of a fitted HSFM by samples (n, d), their classes and attributes, and training samples (m, d).

    ``example`` makes an example of a training sample with a value, ``ends`` returns the samples with extreme values
    (n,), and ``n_examples`` support samples of each class are shown, also as the decoder draws them if there is one.
    """
    mean, std = _moments(train)
    before, after = ((rows - mean) / std for rows in (model.support_before_, model.support_after_))
    edit, labels = after - before, model.support_labels_
    moved = np.linalg.norm(edit, axis=1) / np.linalg.norm(before, axis=1).clip(min=1e-12)
    points, scaled = (np.asarray(X, np.float64) - mean) / std, (np.asarray(train, np.float64) - mean) / std
    nearest_before, nearest_after = (_nearest(rows, scaled) for rows in (before, after))
    towards = _most_direct(before, edit, scaled)
    by_class, shown = [], []
    for code in np.unique(labels).tolist():
        own = np.flatnonzero(labels == code)
        by_class.append(_class_edit(code, classes[code], edit[own], moved[own], points, codes, attributes, ends))
        shown += own[np.argsort(-moved[own], kind="stable")[:n_examples]].tolist()
    neighbours = [
        Neighbour(
            classes[int(labels[row])],
            float(moved[row]),
            *(example(*each[row]) for each in (nearest_before, nearest_after, towards)),
        )
        for row in shown
    ]
    changed = sum(old[0] != new[0] for old, new in zip(nearest_before, nearest_after, strict=True))
    drawn = None if decoder is None else _decode(decoder, model, shown, verbose)
    return Edits(len(labels), changed, tuple(by_class), tuple(neighbours), drawn)


def _class_edit(
    code: int,
    name: str,
    edit: np.ndarray,
    moved: np.ndarray,
    points: np.ndarray,
    codes: np.ndarray,
    attributes: Sequence[Attribute],
    ends: Callable[[np.ndarray], Ends],
) -> ClassEdit:
    mean = edit.mean(0)
    length = float(np.linalg.norm(edit, axis=1).mean())
    agreement = float(np.linalg.norm(mean)) / length if length > 0 else 0.0
    values = points @ mean
    along = Direction(f"The mean edit of class {name}", code, *ends(values), values=values)
    own = codes == code
    alignment = align(mean, points, attributes, codes)
    if own.any() and not own.all():
        alignment = (align_with_class(mean, points, own), *alignment)
    return ClassEdit(name, float(moved.mean()), agreement, alignment, along)


def _moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and std of each feature; the std of a constant one is 1."""
    values = np.asarray(X, np.float64)
    std = values.std(0)
    return values.mean(0), np.where(std > 1e-12 * np.abs(values).max(0).clip(min=1e-290), std, 1.0)


def _nearest(rows: np.ndarray, among: np.ndarray) -> list[tuple[int, float]]:
    """Return, for each row (k, d), the position of the nearest of points (m, d) and its distance."""
    squares = (rows**2).sum(1)[:, None] - 2 * rows @ among.T + (among**2).sum(1)
    where = squares.argmin(1)
    return [(int(j), float(np.linalg.norm(row - among[j]))) for row, j in zip(rows, where, strict=True)]


def _most_direct(rows: np.ndarray, edit: np.ndarray, among: np.ndarray) -> list[tuple[int, float]]:
    """Return, for each row (k, d), the position of the point (m, d) most in line with its edit, and the cosine."""
    chosen = []
    for row, step in zip(rows, edit, strict=True):
        offsets = among - row
        lengths = np.linalg.norm(offsets, axis=1) * np.linalg.norm(step)
        cosines = np.divide(offsets @ step, lengths, out=np.zeros(len(offsets)), where=lengths > 0)
        chosen.append((int(cosines.argmax()), float(cosines.max())))
    return chosen


def _decode(decoder: Decoder, model: HSFM, rows: Sequence[int], verbose: int) -> np.ndarray:
    """Return pictures of support samples before and after, (k, 2, ...)."""
    pairs = []
    with progress("Decoding", len(rows), show=verbose > 0) as advance:
        for row in rows:
            features = np.stack([model.support_before_[row], model.support_after_[row]]).astype(np.float32)
            pairs.append(np.asarray(decoder(features)))
            advance()
    return np.stack(pairs)
