"""What HSFM's edits of its support mean, in terms of real samples and known attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from longway.explaining.attributes import Attribute, aligned, label_alignment
from longway.explaining.decoding import Decoder
from longway.explaining.result import ClassEdit, Direction, Edits, Ends, Neighbour
from longway.methods import HSFM
from longway.utils.progress import progress
from longway.utils.records import Example

Nearest = Callable[[int, float], Example]
"""Makes an example of a training row: its number among them, and a value."""


def explain_edits(
    model: HSFM,
    classes: Sequence[str],
    X: np.ndarray,
    codes: np.ndarray,
    attributes: Sequence[Attribute],
    train: np.ndarray,
    *,
    nearest: Nearest,
    ends: Callable[[np.ndarray], Ends],
    n_examples: int,
    decoder: Decoder | None,
    verbose: int,
) -> Edits:
    """Explain the edits of a fitted HSFM.

    Parameters
    ----------
    model : HSFM
    classes : sequence of str
        Names of the C classes.
    X : ndarray of shape (n, d)
        Features of samples to look at.
    codes : ndarray of shape (n,)
        Their classes.
    attributes : sequence of Attribute
        Of these samples.
    train : ndarray of shape (m, d)
        Features among which the nearest are looked for.
    nearest, ends : callable
        Make examples of a training row with a value, and of the extreme samples of values (n,).
    n_examples : int
        Support rows of each class that are shown.
    decoder : callable, optional
        Features (k, d) to pictures.
    verbose : int
    """
    mean, spread = _moments(train)
    before, after = ((rows - mean) / spread for rows in (model.support_before_, model.support_after_))
    edit, labels = after - before, model.support_labels_
    moved = np.linalg.norm(edit, axis=1) / np.linalg.norm(before, axis=1).clip(min=1e-12)
    points, scaled = (np.asarray(X, np.float64) - mean) / spread, (np.asarray(train, np.float64) - mean) / spread
    found = [_closest(rows, scaled) for rows in (before, after)]
    ways = _most_direct(before, edit, scaled)
    by_class, shown = [], []
    for code in np.unique(labels).tolist():
        own = np.flatnonzero(labels == code)
        by_class.append(_of_class(code, classes[code], edit[own], moved[own], points, codes, attributes, ends))
        shown += own[np.argsort(-moved[own], kind="stable")[:n_examples]].tolist()
    neighbours = [
        Neighbour(classes[int(labels[row])], float(moved[row]), *(nearest(*each[row]) for each in (*found, ways)))
        for row in shown
    ]
    changed = sum(old[0] != new[0] for old, new in zip(*found, strict=True))
    drawn = None if decoder is None else _decoded(decoder, model, shown, verbose)
    return Edits(len(labels), changed, tuple(by_class), tuple(neighbours), drawn)


def _of_class(
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
    alignment = aligned(mean, points, attributes, codes)
    if own.any() and not own.all():
        alignment = (label_alignment(mean, points, own), *alignment)
    return ClassEdit(name, float(moved.mean()), agreement, alignment, along)


def _moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(X, np.float64)
    spread = values.std(0)
    return values.mean(0), np.where(spread > 1e-12 * np.abs(values).max(0).clip(min=1e-290), spread, 1.0)


def _closest(rows: np.ndarray, among: np.ndarray) -> list[tuple[int, float]]:
    """Return the position of, and the distance to, the nearest of points (m, d) for each row (k, d)."""
    squares = (rows**2).sum(1)[:, None] - 2 * rows @ among.T + (among**2).sum(1)
    where = squares.argmin(1)
    return [(int(j), float(np.linalg.norm(row - among[j]))) for row, j in zip(rows, where, strict=True)]


def _most_direct(rows: np.ndarray, edit: np.ndarray, among: np.ndarray) -> list[tuple[int, float]]:
    """Return the position of the point (m, d) that each row's edit (k, d) leads to most directly, and the cosine."""
    chosen = []
    for row, step in zip(rows, edit, strict=True):
        ways = among - row
        lengths = np.linalg.norm(ways, axis=1) * np.linalg.norm(step)
        cosines = np.divide(ways @ step, lengths, out=np.zeros(len(ways)), where=lengths > 0)
        chosen.append((int(cosines.argmax()), float(cosines.max())))
    return chosen


def _decoded(decoder: Decoder, model: HSFM, rows: Sequence[int], verbose: int) -> np.ndarray:
    """Return pictures of support rows before and after, (k, 2, ...)."""
    pairs = []
    with progress("Decoding", len(rows), show=verbose > 0) as advance:
        for row in rows:
            features = np.stack([model.support_before_[row], model.support_after_[row]]).astype(np.float32)
            pairs.append(np.asarray(decoder(features)))
            advance()
    return np.stack(pairs)
