"""HSFM: edits of support features such that the head trained on them does well on hard samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.base import Method, Task
from longway.errors import LongwayError
from longway.functional.hypergradient import Head, adapt, hypergradient, inner_curvature
from longway.functional.whitening import Whitening, shrunk_whitening
from longway.linear import first_head
from longway.nn.heads import FeatureHead
from longway.progress import progress
from longway.rows import Rows, halves, predict_logits
from longway.selection import BestEpoch
from longway.space import Between, OneOf, Space
from longway.training import resolve_device

WHITENING_ROWS = 2**14
"""Training rows, drawn at random, that features' correlations are taken from."""
CLIP = 10.0
"""The paper's bound on the norm of the support's gradient."""


class HSFM(Method):
    r"""Hard-Set-Guided Feature-Space Meta-Learning: retrain the head of a frozen backbone on edited support features.

    Each epoch takes the validation samples on which the head does worst, edits a small support set of training
    features by the exact gradient of the adapted head's loss on them, and moves the head.

    Two variants share this outline. ``paper`` is the published algorithm: features as they are, the inner descent
    starts at the head, which itself takes Adam steps on the edited support. It stalls where the first head fits its
    support already, because the inner gradient vanishes there, and its rates suit one scale of features only.
    ``scale_free`` standardises and whitens features (shrunk, see ``functional.whitening``), starts the inner descent
    at zero with the step that the support's curvature allows, and takes the adapted head as the head; each half of
    the validation data provides hard samples while the other selects, and the two heads are averaged.

    Give it validation data in which the shortcut does not hold, such as a group-balanced set; the groups themselves
    need not be known. Where validation data are distributed like the training data, the hardest samples are as much
    those with a weak core feature as those that contradict the shortcut, and little is gained.

    Parameters
    ----------
    variant : {"scale_free", "paper"}, default "scale_free"
    n_support : int, default 32
        Support samples per class (at most what the smallest class has).
    n_hard : int, default 64
        Hard samples per class, the paper's K (at most what the class has in the validation data).
    inner_steps : int, default 30
        Steps of the inner descent, the paper's T.
    inner_rate : float, default 1.0
        Inner step size, the paper's alpha; in ``scale_free`` it multiplies the inverse of the inner loss's curvature.
    outer_rate : float, default 0.1
        Adam's rate on the support, the paper's eta.
    outer_steps : int, default 5
        Edits per epoch, the paper's K_H.
    epochs : int, default 20
    head : (array-like of shape (C, d), array-like of shape (C,)), optional
        Weight and bias to start from, such as the backbone's own last layer, which is the paper's; rows in sorted order
        of the labels. Without it, a linear head is fitted to the training features.
    ridge : float, default 1e-2
        Of that fitted head.
    selection : {"auto", "worst_group", "worst_class", "balanced", "average"}, default "auto"
        Which validation score chooses the epoch; ``auto`` is ``worst_group`` (the paper's) where validation groups are
        given, else ``worst_class``.
    validation_fraction : float, default 0.2
    device : str, default "auto"
    random_state : int, RandomState or None, default 0
    verbose : int, default 0

    Attributes
    ----------
    support_before_, support_after_ : ndarray of shape (m, d)
        Support features before and after editing, in the units of the input.
    support_labels_ : ndarray of shape (m,)
        Their class codes.

    References
    ----------
    "HSFM: Hard-Set-Guided Feature-Space Meta-Learning for Robust Classification under Spurious Correlations",
    arXiv 2603.29313.
    """

    supervision = "val_groups"
    space: ClassVar[Space] = {
        "n_support": OneOf((16, 32, 64, 128)),
        "n_hard": OneOf((32, 64, 128, 256)),
        "inner_steps": Between(10, 100, log=True, whole=True),
        "inner_rate": Between(0.3, 3.0, log=True),
        "outer_rate": Between(0.01, 1.0, log=True),
        "outer_steps": Between(2, 15, whole=True),
        "ridge": Between(1e-4, 1.0, log=True),
    }
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {
            "variant": "paper",
            "n_support": n,
            "inner_steps": steps,
            "inner_rate": alpha,
            "outer_rate": eta,
            "outer_steps": edits,
            "n_hard": hard,
            "epochs": epochs,
        }
        for name, n, steps, alpha, eta, edits, hard, epochs in [
            ("waterbirds", 16, 15, 5e-5, 1.0, 15, 64, 40),
            ("celeba", 1024, 10, 5e-5, 1.0, 5, 256, 20),
            ("metashift", 32, 15, 5e-5, 1e-2, 10, 64, 10),
            ("dominoes", 16, 10, 1e-4, 1.0, 15, 256, 40),
        ]
    }

    def __init__(
        self,
        *,
        variant: str = "scale_free",
        n_support: int = 32,
        n_hard: int = 64,
        inner_steps: int = 30,
        inner_rate: float = 1.0,
        outer_rate: float = 0.1,
        outer_steps: int = 5,
        epochs: int = 20,
        head: tuple[ArrayLike, ArrayLike] | None = None,
        ridge: float = 1e-2,
        selection: str = "auto",
        validation_fraction: float = 0.2,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 0,
    ) -> None:
        self.variant = variant
        self.n_support = n_support
        self.n_hard = n_hard
        self.inner_steps = inner_steps
        self.inner_rate = inner_rate
        self.outer_rate = outer_rate
        self.outer_steps = outer_steps
        self.epochs = epochs
        self.head = head
        self.ridge = ridge
        self.selection = selection
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> FeatureHead:
        return FeatureHead(input_shape[0], n_classes).double()

    def _fit(self, task: Task) -> nn.Module:
        rows, validation, source = task.split(self.validation_fraction)
        network = first_head(self.head, rows, task.n_classes, self.ridge, standardize=self.variant == "scale_free").to(
            resolve_device(self.device)
        )
        start = _head_of(network)
        whitening = _whitening(network, rows, task.generator) if self.variant == "scale_free" else None
        support = rows.take(_per_class(rows.y, task.n_classes, self.n_support, task.generator))
        folds = self._folds(validation, task)
        heads, edited, kept = [], [], []
        with progress("HSFM", self.epochs * len(folds), show=self.verbose > 0) as advance:
            for fold, (source_rows, judge_rows) in enumerate(folds):
                network.set_linear(start)
                best = BestEpoch(network, validation.take(judge_rows), self.selection, source)
                editor = _Editor(self, network, support, whitening)
                logits = _logits(network, validation)
                for epoch in range(1, self.epochs + 1):
                    hard = source_rows[self._hardest(logits[source_rows], validation.y[source_rows], task.n_classes)]
                    loss = editor.edit(validation.take(hard))
                    editor.move_head()
                    logits = _logits(network, validation)
                    record = best.observe(epoch, logits[judge_rows])
                    self.history_.append({"epoch": epoch, "fold": fold, "outer_loss": loss, **record})
                    advance(f"hard-set loss {loss:.3g}")
                kept.append(best.restore())
                heads.append(_head_of(network))
                edited.append(editor.edited())
        network.set_linear(Head(*(torch.stack(parts).mean(0) for parts in zip(*heads, strict=True))))
        self.selection_ = {**kept[0], "epoch": [k["epoch"] for k in kept], "score": [k["score"] for k in kept]}
        self.support_before_ = support.inputs(slice(None), torch.float64).numpy()
        self.support_after_ = network.standardize.undo(torch.stack(edited).mean(0)).cpu().numpy()
        self.support_labels_ = support.y
        return network

    def _folds(self, validation: Rows, task: Task) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return pairs of validation rows (hard samples come from, select on); the paper uses all for both."""
        everything = np.arange(len(validation))
        if self.variant == "paper":
            return [(everything, everything)]
        first, second = halves(validation, task.n_classes, task.generator)
        if first is second:
            return [(everything, everything)]
        return [(first, second), (second, first)]

    def _hardest(self, logits: Tensor, y: np.ndarray, n_classes: int) -> np.ndarray:
        """Return the positions of the samples with the highest loss, ``n_hard`` per class."""
        losses = cross_entropy(logits, torch.from_numpy(y), reduction="none").numpy()
        ranked = np.argsort(-losses, kind="stable")
        return np.concatenate([ranked[y[ranked] == code][: self.n_hard] for code in range(n_classes)])


class _Editor:
    """Edits the support by exact hypergradients, and moves the head after it."""

    def __init__(self, method: HSFM, network: FeatureHead, support: Rows, whitening: Whitening | None) -> None:
        self.method, self.network, self.whitening = method, network, whitening
        device = network.linear.weight.device
        self.support = self._inner(support)
        self.labels = torch.from_numpy(support.y).to(device)
        self.optimizer = torch.optim.Adam([self.support], lr=method.outer_rate)
        head = _head_of(network)
        self.paper = method.variant == "paper"
        self.start = Head(*(torch.zeros_like(part).float() for part in head))
        self.head = Head(*(part.float().requires_grad_(self.paper) for part in head))
        self.head_optimizer = torch.optim.Adam(self.head, lr=method.inner_rate)

    def edit(self, hard: Rows) -> float:
        """Take the epoch's edits against these hard samples; return the last outer loss."""
        labels = torch.from_numpy(hard.y).to(self.labels.device)
        features = self._inner(hard)
        start = Head(*(part.detach() for part in self.head)) if self.paper else self.start
        for _ in range(self.method.outer_steps):
            result = hypergradient(
                self.support, self.labels, features, labels, start, steps=self.method.inner_steps, rate=self._rate()
            )
            norm = float(result.support.norm())
            if not math.isfinite(norm):
                raise LongwayError(
                    "the gradient of the support is no longer finite: lower inner_rate or outer_rate "
                    f"(now {self.method.inner_rate:g} and {self.method.outer_rate:g})"
                )
            self.support.grad = result.support * min(1.0, CLIP / max(norm, 1e-12))
            self.optimizer.step()
        return float(result.loss)

    def move_head(self) -> None:
        """Adapt the head to the edited support: Adam from where it is (paper), or the inner descent itself."""
        if self.paper:
            for _ in range(self.method.inner_steps):
                self.head_optimizer.zero_grad()
                cross_entropy(self.head.logits(self.support), self.labels).backward()
                self.head_optimizer.step()
            self.network.set_linear(self.head)
        else:
            steps = self.method.inner_steps
            head = adapt(self.support, self.labels, self.start, steps=steps, rate=self._rate())
            self.network.set_linear(
                head if self.whitening is None else Head(head.weight @ self.whitening.to, head.bias)
            )

    def edited(self) -> Tensor:
        """Return the support as it is now, standardised but not whitened."""
        return (self.support if self.whitening is None else self.support @ self.whitening.back).double()

    def _inner(self, rows: Rows) -> Tensor:
        """Return features in the coordinates of the inner problem."""
        inputs = rows.inputs(slice(None), torch.float64).to(self.network.linear.weight.device)
        standardized = self.network.standardize(inputs).float()
        return standardized if self.whitening is None else standardized @ self.whitening.to

    def _rate(self) -> float:
        """Return the inner step size; free of scale, it is relative to the inverse of the loss's curvature."""
        if self.paper:
            return self.method.inner_rate
        return self.method.inner_rate / inner_curvature(self.support)


def _whitening(network: FeatureHead, rows: Rows, generator: np.random.Generator) -> Whitening:
    """Return the whitening of training features, from as many of them as tell their correlations."""
    some = rows.take(np.sort(generator.permutation(len(rows))[:WHITENING_ROWS]))
    correlation = torch.zeros(rows.shape[0], rows.shape[0], device=network.linear.weight.device)
    for part in some.slices(512):
        z = network.standardize(some.inputs(part, torch.float64).to(correlation.device)).float()
        correlation += z.T @ z / len(some)
    return shrunk_whitening(correlation)


def _logits(network: FeatureHead, rows: Rows) -> Tensor:
    """Return logits (n, C) in the precision of the features."""
    return predict_logits(network.folded(torch.float64 if rows.X.dtype == np.float64 else torch.float32), rows)


def _head_of(network: FeatureHead) -> Head:
    return Head(network.linear.weight.detach().clone(), network.linear.bias.detach().clone())


def _per_class(y: np.ndarray, n_classes: int, n: int, generator: np.random.Generator) -> np.ndarray:
    """Return the positions of at most ``n`` random samples of each class."""
    return np.concatenate([generator.permutation(np.flatnonzero(y == code))[:n] for code in range(n_classes)])
