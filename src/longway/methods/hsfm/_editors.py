"""Editing of HSFM's supports: the published algorithm and the scale-free one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from longway.data.folds import halves
from longway.data.samples import Samples, predict_logits
from longway.linear._adam import Adam
from longway.linear._hypergradient import OuterLoss
from longway.linear._whitening import Whitening
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import standardized_features
from longway.linear.head import HeadStack, LinearHead
from longway.methods._last_layer import head_of
from longway.methods.hsfm._support import UNSURE, SupportEditor, even_weights, hardest

CLIP = 10.0
"""The paper's upper bound on the norm of the support's gradient."""
# Mean residual on the support below which the published gradient vanishes
# (docs/experiments/0001-hsfm-inner-problem.md).
VANISHING = 1e-3


class Settings(Protocol):
    """The parameters of ``HSFM`` that editing uses."""

    n_hard: int
    inner_steps: int
    inner_rate: float
    outer_rate: float
    outer_steps: int
    epochs: int


class Run:
    """One support, edited against one half of the validation data."""

    def __init__(
        self,
        method: Settings,
        network: FeatureHead,
        whitening: Whitening,
        support: Samples,
        source: Samples,
        cells: np.ndarray,
    ) -> None:
        self.method, self.network, self.whitening = method, network, whitening
        self.source, self.cells = source, cells
        self.losses: list[float] = []
        self.device = network.linear.weight.device
        self.editor = SupportEditor(
            self._inner(support),
            torch.from_numpy(support.y).to(self.device),
            network.linear.out_features,
            steps=method.inner_steps,
            rate=method.inner_rate,
            edit_rate=method.outer_rate,
            edits=method.epochs * method.outer_steps,
        )

    def path(self, epochs: int, advance: Callable[[str], Any]) -> HeadStack:
        """Return the head before editing and after each epoch, on standardised features: ``epochs + 1`` of them.

        ``losses`` holds the outer loss of each epoch. It ends early if a gradient is no longer finite; the last good
        head then fills in for the missing epochs.
        """
        heads = [self._head()]
        hard = self._hard(heads[-1]) if epochs else None
        for epoch in range(1, epochs + 1):
            if epoch > 1 and self._is_chosen:
                hard = self._hard(heads[-1])
            losses = [self.editor.edit(hard) for _ in range(self.method.outer_steps)] if hard else [None]
            if losses[-1] is None:
                break
            heads.append(self._head())
            self.losses.append(losses[-1])
            advance(f"hard-set loss {losses[-1]:.3g}")
        heads += [heads[-1]] * (epochs + 1 - len(heads))
        return HeadStack(*(torch.stack(parts) for parts in zip(*heads, strict=True)))

    @property
    def _is_chosen(self) -> bool:
        """True if a cell has more samples than the hard set takes."""
        return bool(np.unique(self.cells, return_counts=True)[1].max() > self.method.n_hard)

    def _hard(self, head: LinearHead) -> OuterLoss:
        """Return the loss on the hard set."""
        chosen = np.arange(len(self.source))
        if self._is_chosen:
            self.network.set_linear(head)
            logits, y = current_logits(self.network, self.source), torch.from_numpy(self.source.y)
            chosen = hardest(cross_entropy(logits, y, reduction="none").numpy(), self.cells, self.method.n_hard)
        rows, weights = self.source.take(chosen), torch.from_numpy(even_weights(self.cells[chosen])).float()
        return self.editor.against(self._inner(rows), torch.from_numpy(rows.y).to(self.device), weights.to(self.device))

    def _head(self) -> LinearHead:
        weight, bias = self.editor.head()
        return LinearHead(weight @ self.whitening.to, bias)

    def _inner(self, rows: Samples) -> Tensor:
        """Return whitened features."""
        return standardized_features(self.network, rows, torch.float32) @ self.whitening.to


@dataclass(frozen=True)
class Edited:
    """The result of editing a support against each half of the validation samples.

    Parameters
    ----------
    heads : list of HeadStack
        Of either half, before editing and after each epoch.
    logits : Tensor of shape (m, E + 1, C)
        Theirs for validation rows that they were not edited against.
    losses : list of list of float
        The outer loss of each epoch; shorter where a gradient was no longer finite.
    support : Tensor of shape (k, d)
        The mean of the edited supports, whitened.
    """

    heads: list[HeadStack]
    logits: Tensor
    losses: list[list[float]]
    support: Tensor


class Editing:
    """Edits supports against the same validation data, one after another.

    Parameters
    ----------
    method : Settings
    network : FeatureHead
        Standardises features; its head is used as a workspace.
    whitening : Whitening
    validation : Samples
    epochs : int
    advance : callable
        Called once per epoch with a description of the state.
    """

    def __init__(
        self,
        method: Settings,
        network: FeatureHead,
        whitening: Whitening,
        validation: Samples,
        epochs: int,
        advance: Callable[[str], Any],
    ) -> None:
        self.method, self.network, self.whitening = method, network, whitening
        self.validation, self.epochs, self.advance = validation, epochs, advance

    def by_halves(self, support: Samples, cells: np.ndarray, generator: np.random.Generator) -> Edited:
        """Edit a support against each half of the validation samples whose cell (m,) is known."""
        n_classes = self.network.linear.out_features
        confident, unsure = np.flatnonzero(cells != UNSURE), np.flatnonzero(cells == UNSURE)
        parts = halves(self.validation.take(confident).grouped(cells[confident]), n_classes, generator)
        folds = [confident[part] for part in parts]
        logits = torch.zeros(len(self.validation), self.epochs + 1, n_classes)
        heads, losses, supports = [], [], []
        for hard, unseen in ((folds[0], folds[1]), (folds[1], np.concatenate([folds[0], unsure]))):
            source = self.validation.take(hard)
            run = Run(self.method, self.network, self.whitening, support, source, cells[hard])
            heads.append(run.path(self.epochs, self.advance))
            logits[unseen] = held_out_logits(self.network, self.validation.take(unseen), heads[-1])
            losses.append(run.losses)
            supports.append(run.editor.support)
        return Edited(heads, logits, losses, torch.stack(supports).mean(0))


class PublishedEditor:
    """Edits the support by Adam on exact hypergradients, then moves the head by Adam, in the features' precision."""

    def __init__(self, method: Settings, network: FeatureHead, support: Samples) -> None:
        self.method, self.network, self.dtype = method, network, support.precision
        self.device = network.linear.weight.device
        self.support = self._features(support)
        self.labels = torch.from_numpy(support.y).to(self.device)
        self.targets = one_hot(self.labels, network.linear.out_features).to(self.support)
        self.head = LinearHead(*(part.to(self.dtype) for part in head_of(network)))
        self.edits = Adam(self.support, method.outer_rate)
        self.moves = [Adam(part, method.inner_rate) for part in self.head]

    def vanishing(self) -> bool:
        """Return whether the head leaves almost no residual on the support."""
        p = self.head.logits(self.support).softmax(1).gather(1, self.labels.unsqueeze(1))
        return bool((1 - p).mean() < VANISHING)

    def edit(self, hard: Samples) -> float | None:
        """Take one epoch of edits against these hard samples; return the last outer loss, None if it is not finite."""
        labels, features = torch.from_numpy(hard.y).to(self.device), self._features(hard)
        outer = OuterLoss(self.labels, features, labels, self.head, steps=self.method.inner_steps)
        for _ in range(self.method.outer_steps):
            loss, gradient = outer.gradient(self.support, self.method.inner_rate)
            norm = float(gradient.norm())
            if not math.isfinite(norm):
                return None
            self.edits.step(gradient.mul_(CLIP / norm) if norm > CLIP else gradient)
        return float(loss)

    def move_head(self) -> bool:
        """Move the head on the edited support; if it diverges, return False and leave the network alone."""
        for _ in range(self.method.inner_steps):
            residual = self.head.logits(self.support).softmax(1).sub_(self.targets).div_(len(self.labels))
            for move, gradient in zip(self.moves, (residual.T @ self.support, residual.sum(0)), strict=True):
                move.step(gradient)
        if not all(bool(part.isfinite().all()) for part in self.head):
            return False
        self.network.set_linear(self.head)
        return True

    def _features(self, rows: Samples) -> Tensor:
        return standardized_features(self.network, rows, self.dtype)


def held_out_logits(network: FeatureHead, rows: Samples, heads: HeadStack) -> Tensor:
    """Return logits (n, P, C) of several heads."""
    return rows.gather(
        lambda part: heads.logits(
            standardized_features(network, rows.take(np.arange(part.start, part.stop)), torch.float32)
        )
    )


def current_logits(network: FeatureHead, rows: Samples) -> Tensor:
    """Return logits (n, C) in the precision of the features."""
    return predict_logits(network.folded(rows.precision), rows)
