"""Learned supports of a linear head: the samples they start from, their editing, and the stopping rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longway.data.folds import halves
from longway.data.samples import Samples
from longway.groups import confident_samples, find_groups, judge_groups, propagate_groups
from longway.linear._hypergradient import OuterLoss, adapt, inner_curvature
from longway.linear.head import LinearHead
from longway.utils.errors import NoGroupsError

UNSURE = -1
"""The cell of samples that are assigned to none."""
# The constants below are from docs/experiments/0004-hsfm-default.md, but for the decay rates, which are chosen by hand.
# A cell with fewer samples than this does not shrink the support: other samples of its class fill it up.
SMALLEST = 16
# Decay rates of the running mean of the gradient and of its squared norm.
MOMENTUM, SECOND = 0.9, 0.99
# Standard errors by which validation data must contradict the shortcut more often than training data do.
SHIFT = 2.0


@dataclass(frozen=True)
class BalanceCells:
    """Cells that are weighted equally: of training samples (n,) and of validation samples (m,), each within one class.

    Parameters
    ----------
    train, validation : ndarray of int64
        ``UNSURE`` for samples that are probably misassigned.
    kind : {"groups", "classes", "classes by inferred attribute"}
        Meaning of the validation cells.
    about : dict
        Record of the group inference, ready for JSON.
    """

    train: np.ndarray
    validation: np.ndarray
    kind: str
    about: dict[str, Any]


def find_cells(
    rows: Samples,
    validation: Samples,
    n_classes: int,
    strategy: str,
    options: dict[str, Any],
    *,
    seed: int,
    device: str,
) -> BalanceCells:
    """Infer which samples contradict the shortcut, and choose the cells of the validation data.

    The cells are the groups of the validation data, if given. Without them they are the classes if the validation data
    contradict the shortcut more often than the training data, as a group-balanced set does; else classes by inferred
    attribute. If nothing can be inferred, cells are classes.

    Given groups are propagated to the training samples if the validation data are distributed like these and if that
    finds rare groups with higher precision than inference, as measured on the validation data.
    """
    try:
        found = find_groups(rows, n_classes, strategy, seed=seed, device=device, **options)
    except NoGroupsError as error:
        train, inferred, shifted = rows.y, validation.y, True
        about: dict[str, Any] = {"strategy": strategy, "seed": seed, "caveats": [str(error)]}
    else:
        train, inferred = found.groups, found.assign(validation)
        usual = _usual(train, rows.y, n_classes, found.n_values)
        shifted, shares = _contradicts_more(train, rows.y, inferred, validation.y, usual)
        about = {"seed": seed, **found.summary(), "contradicting": shares}
        judged = judge_groups(found, rows, about)
        if judged is not None:
            train = np.where(judged.confident, train, UNSURE)
            inferred = np.where(confident_samples(found, judged, validation), inferred, UNSURE)
    if validation.groups is not None:
        known = validation.grouped(validation.groups * n_classes + validation.y)
        assert known.groups is not None
        if not shifted:
            rare = (inferred != usual[validation.y]) & (inferred != UNSURE)
            about["precision"] = _precisions(known, rare, n_classes, seed)
            if about["precision"]["propagated"] > about["precision"]["inferred"]:
                train = propagate_groups(rows, known)
        return BalanceCells(train, known.groups, "groups", about)
    if shifted:
        return BalanceCells(train, validation.y, "classes", about)
    return BalanceCells(train, inferred, "classes by inferred attribute", about)


def _usual(cells: np.ndarray, y: np.ndarray, n_classes: int, n_values: int) -> np.ndarray:
    """Return the most frequent inferred cell of each class, of shape (C,)."""
    counts = np.bincount(cells, minlength=n_classes * n_values).reshape(n_classes, n_values)
    return np.arange(n_classes) * n_values + counts.argmax(1)


def _contradicts_more(
    train: np.ndarray, y: np.ndarray, validation: np.ndarray, y_val: np.ndarray, usual: np.ndarray
) -> tuple[bool, dict[str, float]]:
    """Compare how often samples lack the attribute that is most frequent in their class of the training data."""
    means, variance = [], 0.0
    known = [code for code in range(len(usual)) if (y_val == code).any()]
    for cells, labels in ((train, y), (validation, y_val)):
        shares = np.array([np.mean(cells[labels == code] != usual[code]) for code in known])
        sizes = np.array([np.sum(labels == code) for code in known])
        means.append(float(shares.mean()))
        variance += float((shares * (1 - shares) / sizes).sum()) / len(known) ** 2
    shares_by_part = {"train": means[0], "validation": means[1]}
    return means[1] - means[0] > SHIFT * math.sqrt(variance), shares_by_part


def _precisions(known: Samples, inferred: np.ndarray, n_classes: int, seed: int) -> dict[str, float]:
    """Return the precision of finding rare validation samples by inference (n,) and by propagation between halves."""
    assert known.groups is not None
    commonest = np.zeros(n_classes, np.int64)
    for code in np.unique(known.y):
        commonest[code] = np.bincount(known.groups[known.y == code]).argmax()
    first, second = halves(known, n_classes, np.random.default_rng(seed))
    propagated = np.zeros(len(known), np.int64)
    for labelled, others in ((first, second), (second, first)):
        propagated[others] = propagate_groups(known.take(others), known.take(labelled))
    rare = known.groups != commonest[known.y]
    taken = {"inferred": inferred, "propagated": propagated != commonest[known.y]}
    return {name: float(rare[rows].mean()) if rows.any() else 0.0 for name, rows in taken.items()}


def draw_support(cells: np.ndarray, y: np.ndarray, n_support: int, generator: np.random.Generator) -> np.ndarray:
    """Draw equally many positions of each class, in equal parts from its cells as far as they suffice.

    Examples
    --------
    >>> cells = np.repeat([0, 1, 2, 3], [50, 20, 40, 30])
    >>> chosen = draw_support(cells, cells // 2, 100, np.random.default_rng(0))
    >>> np.bincount(cells[chosen]).tolist()
    [20, 20, 20, 20]
    """
    by_class = []
    for code in np.unique(y):
        own = np.flatnonzero((y == code) & (cells != UNSURE))
        by_class.append([generator.permutation(own[cells[own] == cell]) for cell in np.unique(cells[own])])
    least = min(len(members) for parts in by_class for members in parts)
    wanted = min(n_support, max(map(len, by_class)) * max(SMALLEST, least), min(sum(map(len, p)) for p in by_class))
    chosen = []
    for parts in by_class:
        quota = -(-wanted // len(parts))
        taken = np.concatenate([members[:quota] for members in parts])
        rest = generator.permutation(np.concatenate([members[quota:] for members in parts]))
        chosen.append(np.concatenate([generator.permutation(taken)[:wanted], rest[: max(0, wanted - len(taken))]]))
    return np.concatenate(chosen)


def hardest(losses: np.ndarray, cells: np.ndarray, n_hard: int) -> np.ndarray:
    """Return positions of the ``n_hard`` samples of each cell with the highest losses, (k,), by cell.

    Examples
    --------
    >>> hardest(np.array([0.1, 0.9, 0.5, 0.2]), np.array([0, 0, 0, 1]), 2).tolist()
    [1, 2, 3]
    """
    ranked = np.argsort(-losses, kind="stable")
    return np.concatenate([ranked[cells[ranked] == cell][:n_hard] for cell in np.unique(cells)])


def even_weights(cells: np.ndarray) -> np.ndarray:
    """Return weights (n,) that sum to 1 and give all cells the same total."""
    _, codes, counts = np.unique(cells, return_inverse=True, return_counts=True)
    return np.asarray(1 / (counts[codes] * len(counts)))


def one_standard_error_rule(correct: np.ndarray, cells: np.ndarray) -> tuple[int, np.ndarray]:
    """Choose the earliest candidate whose mean accuracy over cells is within a standard error of the best.

    Parameters
    ----------
    correct : ndarray of shape (n, E), bool
        Whether each held-out sample is classified correctly, for each candidate in the order of editing.
    cells : ndarray of shape (n,)
        Samples that are ``UNSURE`` are ignored.

    Returns
    -------
    candidate : int
    scores : ndarray of shape (E,)

    Examples
    --------
    >>> correct = np.array([[0, 1, 1], [0, 1, 1], [0, 0, 1], [1, 1, 0]]) > 0
    >>> one_standard_error_rule(correct, np.array([0, 0, 1, 1]))[0]
    1
    """
    known = [cells == cell for cell in np.unique(cells[cells != UNSURE])]
    shares = np.stack([correct[own].mean(0) for own in known])
    sizes = np.array([np.sum(own) for own in known])[:, None]
    scores = shares.mean(0)
    errors = np.sqrt((shares * (1 - shares) / sizes).sum(0)) / len(sizes)
    best = int(scores.argmax())
    return int(np.flatnonzero(scores >= scores[best] - errors[best])[0]), scores


class SupportEditor:
    """A support edited by exact hypergradients, and the head that gradient descent from zero finds on it.

    Steps do not depend on the scale or basis of the features: the whole gradient is divided by one running norm, and
    samples move by a fraction of their length. Dividing entry by entry, as Adam does, would move directions of pure
    noise as far as all others.

    Parameters
    ----------
    support : Tensor of shape (m, d)
    labels : Tensor of shape (m,), integer
    n_classes : int
    steps : int
        Inner steps T.
    rate : float
        Inner step size, times the inverse of the inner loss's curvature.
    edit_rate : float
        Distance that a sample moves in the first edit, relative to the mean norm; it decays linearly to 0.
    edits : int
        Total number of edits.
    """

    def __init__(
        self, support: Tensor, labels: Tensor, n_classes: int, *, steps: int, rate: float, edit_rate: float, edits: int
    ) -> None:
        self.support, self.labels, self.steps, self.rate = support, labels, steps, rate
        self.edit_rate, self.edits, self.done = edit_rate, edits, 0
        self.length = float(support.norm(dim=1).mean())
        self.zero = LinearHead(support.new_zeros(n_classes, support.shape[1]), support.new_zeros(n_classes))
        self.first, self.second = torch.zeros_like(support), 0.0

    def head(self) -> LinearHead:
        """Return the head that gradient descent from zero finds on the current support."""
        return adapt(self.support, self.labels, self.zero, steps=self.steps, rate=self._step())

    def against(self, hard: Tensor, labels: Tensor, weights: Tensor) -> OuterLoss:
        """Return the weighted loss on hard samples that edits should lower."""
        return OuterLoss(self.labels, hard, labels, self.zero, steps=self.steps, hard_weights=weights)

    def edit(self, outer: OuterLoss) -> float | None:
        """Take one edit that lowers this loss; return the loss, or None if it is no longer finite."""
        found = outer.gradient(self.support, self._step())
        square = float(found.support.square().sum()) / len(self.support)
        if not math.isfinite(square) or not math.isfinite(float(found.loss)):
            return None
        rate = self.edit_rate * (1 - self.done / self.edits)
        self.done += 1
        self.first = MOMENTUM * self.first + (1 - MOMENTUM) * found.support
        self.second = SECOND * self.second + (1 - SECOND) * square
        norm = math.sqrt(self.second / (1 - SECOND**self.done))
        scale = rate * self.length / max(norm, torch.finfo(self.support.dtype).tiny) / (1 - MOMENTUM**self.done)
        self.support = self.support - scale * self.first
        return float(found.loss)

    def _step(self) -> float:
        return self.rate / max(inner_curvature(self.support), torch.finfo(self.support.dtype).tiny)
