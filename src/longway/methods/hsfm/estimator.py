"""HSFM: edit support features so that the head trained on them does well on hard samples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples
from longway.data.weights import draw_per_code
from longway.groups import check_strategy_options
from longway.linear._whitening import Whitening, shrunk_whitening
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import initial_head
from longway.linear.head import LinearHead
from longway.methods._base import FitData, Method
from longway.methods._group_aware import STRATEGY
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical, Integer, Real
from longway.methods.hsfm._editors import Edited, Editing, PublishedEditor, current_logits
from longway.methods.hsfm._support import BalanceCells, draw_support, find_cells, hardest, one_standard_error_rule
from longway.metrics.group_metrics import evaluate_groups
from longway.training.selection import RULES, BestEpoch, resolve_rule
from longway.utils.device import resolve_device
from longway.utils.progress import progress
from longway.utils.rules import COUNT, HEAD, MAPPING, NON_NEGATIVE, POSITIVE, Choice, OrNone

WHITENING_ROWS = 2**14
"""Random training samples that the feature covariance is estimated from."""
DRAWN_ROWS = 2**15
"""Random training samples, equally many of each class, from which a draw infers groups and takes its support."""


@register
class HSFM(Method):
    r"""Hard-Set-Guided Feature-Space Meta-Learning: retrain the head of a frozen backbone on edited support features.

    Each epoch takes the validation samples on which the head does worst, edits a small support set of training
    features by the exact gradient of the adapted head's loss on them, and moves the head.

    Two variants share this outline. ``paper`` is the published algorithm: raw features, and an inner descent from the
    head, which itself takes Adam steps on the edited support. It stalls if the first head already fits its support,
    because the inner gradient vanishes there, and its rates suit one scale of features only.

    ``scale_free`` standardises and whitens features (with shrinkage), starts the inner descent at zero with the step
    size that the support's curvature allows, and takes the adapted head as the head. Beyond the paper:

    - The support is drawn in equal parts from the training samples that a weak, cross-fitted head gets right and wrong,
      or from groups inferred by another strategy. Given validation groups are propagated to the training samples
      (``groups.propagate_groups``) if they are distributed alike and this is more precise.
    - The outer loss weights all cells equally: validation groups if given; else classes, if the validation data
      contradict the shortcut more often than the training data; else classes by right and wrong.
    - Each half of the validation data provides hard samples while the other selects the epoch: the first whose held-out
      accuracy is within a standard error of the best.
    - The heads of both halves and of several draws, each with its own inference and epoch, are averaged.

    The published dynamics are chaotic: runs that differ by rounding errors part within ten epochs
    (docs/experiments/0008-speed-of-heads.md).

    Parameters
    ----------
    variant : {"scale_free", "paper"}, default "scale_free"
    n_support : int, default 64
        Support samples per class, the paper's n (at most the size of the rarest class; in ``scale_free``, at most what
        its cells provide in equal parts).
    n_hard : int, default 1024
        Hard samples per class, in ``scale_free`` per cell, the paper's K (at most all).
    inner_steps : int, default 30
        Steps of the inner descent, the paper's T.
    inner_rate : float, default 1.0
        Inner step size, the paper's alpha; in ``scale_free`` it multiplies the inverse of the inner loss's curvature.
    outer_rate : float, default 0.03
        The paper's eta. In ``paper``, Adam's rate on the support; in ``scale_free``, the distance that a sample moves
        in the first edit, relative to its norm, which decays to 0.
    outer_steps : int, default 1
        Edits per epoch, the paper's K_H.
    epochs : int, default 16
    n_refits : int, default 8
        Draws in ``scale_free``; each infers anew which samples contradict the shortcut (among at most 32,768 training
        samples) and edits a support.
    group_inference : {"errors", "axes", "clusters", "disagreement"}, default "errors"
        Strategy by which ``scale_free`` finds the training samples that contradict the shortcut; ``errors`` are those
        of a linear head with a strong L2 penalty. See ``longway.groups``.
    group_inference_params : dict, optional
        Options of that strategy.
    head : (array-like of shape (C, d), array-like of shape (C,)), optional
        Weight and bias that ``paper`` starts from; the paper takes the backbone's own last layer. Rows are in sorted
        order of the labels. Without it, a linear head is fitted to the training features. ``scale_free`` starts at
        zero.
    l2 : float, default 1e-2
        Penalty of that fitted head.
    selection : {"auto", "worst_group", "worst_class", "balanced", "average"}, default "auto"
        Which validation score chooses the epoch in ``paper``; ``auto`` is ``worst_group`` (the paper's) where
        validation groups are given, else ``worst_class``. In ``scale_free`` the held-out accuracy chooses, cells
        equally weighted; a rule without groups keeps given validation groups out of it.
    validation_fraction : float, default 0.2
    **method
        All other parameters of ``Method``.

    Attributes
    ----------
    support_before_, support_after_ : ndarray of shape (m, d)
        Support features before and after editing, in input units; in ``scale_free`` those of the first draw, after
        editing the mean over both halves.
    support_labels_ : ndarray of shape (m,)
        Their class codes.
    group_inference_ : dict
        Record of the first draw's inference in ``scale_free``, with ``caveats``. Training and validation samples that
        are probably misassigned are left out (``groups.group_purity``), ``left_out`` of the former; ``contradicting``
        holds the fraction of training and of validation samples that lack the usual attribute of their class.

    References
    ----------
    "HSFM: Hard-Set-Guided Feature-Space Meta-Learning for Robust Classification under Spurious Correlations",
    arXiv 2603.29313.
    """

    needs = "validation data in which the shortcut does not hold"
    supervision = "val_groups"
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

    variant: str = parameter("scale_free", Choice(("scale_free", "paper")))
    n_support: int = parameter(64, COUNT, search=Categorical((16, 32, 64, 128)))
    n_hard: int = parameter(1024, COUNT, search=Categorical((64, 256, 1024)))
    inner_steps: int = parameter(30, COUNT, search=Integer(10, 100, log=True))
    inner_rate: float = parameter(1.0, POSITIVE, search=Real(0.3, 3.0, log=True))
    outer_rate: float = parameter(0.03, POSITIVE, search=Real(0.003, 0.3, log=True))
    outer_steps: int = parameter(1, COUNT, search=Integer(1, 5))
    epochs: int = parameter(16, COUNT)
    n_refits: int = parameter(8, COUNT)
    group_inference: str = parameter("errors", STRATEGY)
    group_inference_params: dict[str, Any] | None = parameter(None, OrNone(MAPPING))
    head: tuple[ArrayLike, ArrayLike] | None = parameter(None, OrNone(HEAD))
    l2: float = parameter(1e-2, NON_NEGATIVE)
    validation_fraction: float = 0.2

    def check(self) -> Self:
        """Raise LongwayError for the first parameter, or option of group inference, that cannot be used."""
        super().check()
        check_strategy_options(self.group_inference, self.group_inference_params)
        return self

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> FeatureHead:
        return FeatureHead(input_shape[0], n_classes).double()

    def _fit(self, task: FitData) -> nn.Module:
        rows, validation, source = task.split(self.validation_fraction)
        self.group_inference_: dict[str, Any] = {}
        return (self._published if self.variant == "paper" else self._scale_free)(task, rows, validation, source)

    def _supervision_used(self, task: FitData) -> str:
        known = task.validation is not None and task.validation.groups is not None
        return "val_groups" if known else "none"

    def _published(self, task: FitData, rows: Samples, validation: Samples, source: str) -> FeatureHead:
        """Return the head of the published algorithm."""
        network = initial_head(self.head, rows, task.n_classes, self.l2, standardize=False)
        network = network.to(resolve_device(self.device))
        support = rows.take(draw_per_code(rows.y, self.n_support, task.generator))
        best = BestEpoch(network, validation, self.selection, source)
        editor = PublishedEditor(self, network, support)
        if editor.vanishing():
            warnings.warn(
                "the first head already fits the support, so its gradient vanishes and the result stays close to the "
                "first head: use variant='scale_free', or a less fitted head (raise l2)",
                stacklevel=4,
            )
        logits = current_logits(network, validation)
        with progress("HSFM", self.epochs, show=self.verbose > 0) as advance:
            for epoch in range(1, self.epochs + 1):
                losses = cross_entropy(logits, torch.from_numpy(validation.y), reduction="none").numpy()
                loss = editor.edit(validation.take(hardest(losses, validation.y, self.n_hard)))
                if loss is None or not editor.move_head():
                    self._stopped(epoch, best.epoch)
                    break
                logits = current_logits(network, validation)
                self.history_.append({"epoch": epoch, "outer_loss": loss, **best.observe(epoch, logits)})
                advance(f"hard-set loss {loss:.3g}")
        self.selection_ = (
            {"rule": best.rule, "epoch": 0, "score": float("nan"), "data": source} if best.epoch < 0 else best.restore()
        )
        self._keep(support, editor.support)
        return network

    def _scale_free(self, task: FitData, rows: Samples, validation: Samples, source: str) -> FeatureHead:
        """Return the mean head of several draws, each edited as little as the one-standard-error rule allows."""
        resolve_rule(self.selection, validation.groups)
        network = self._scaled_network(rows, task.n_classes).to(resolve_device(self.device))
        whitening = _whitening(network, rows, task.generator)
        lacking = len(np.unique(validation.y)) < task.n_classes
        epochs = 0 if lacking else self.epochs
        heads: list[LinearHead] = []
        chosen: list[tuple[int, float]] = []
        logits, scores = torch.zeros(len(validation), epochs + 1, task.n_classes), np.zeros(epochs + 1)
        with progress("HSFM", 2 * self.n_refits * epochs, show=self.verbose > 0) as advance:
            editing = Editing(self, network, whitening, validation, epochs, advance)
            for draw in range(self.n_refits):
                drawn = self._drawn(rows, task)
                cells = self._cells(task, drawn, validation)
                support = drawn.take(draw_support(cells.train, drawn.y, self.n_support, task.generator))
                edited = editing.by_halves(support, cells.validation, task.generator)
                correct = edited.logits.argmax(2).numpy() == validation.y[:, None]
                epoch, own = one_standard_error_rule(correct, cells.validation)
                heads += [LinearHead(*(part[epoch] for part in path)) for path in edited.heads]
                chosen.append((epoch, float(own[epoch])))
                logits, scores = logits.add_(edited.logits), scores + own / self.n_refits
                self._record_losses(draw, edited, epochs)
                if draw == 0:
                    self.group_inference_, kind = dict(cells.about), cells.kind
                    self._keep(support, network.standardize.undo((edited.support @ whitening.back).double()))
        if lacking:
            caveat = "the validation data lack a class, so the support is not edited: give an eval_set with every class"
            self.group_inference_["caveats"] = [*self.group_inference_["caveats"], caveat]
        self._record_scores(validation, logits, scores)
        epoch, score = np.mean(chosen, 0).tolist()
        rule = f"held-out accuracy with equally weighted {kind}, least edited within a standard error, mean over draws"
        self.selection_ = {"rule": rule, "epoch": round(epoch, 2), "score": score, "data": source}
        network.set_linear(LinearHead(*(torch.stack(parts).mean(0) for parts in zip(*heads, strict=True))))
        return network

    def _drawn(self, rows: Samples, task: FitData) -> Samples:
        """Return the training samples, or equally many of each class if there are more than ``DRAWN_ROWS``."""
        if len(rows) <= DRAWN_ROWS:
            return rows
        return rows.take(np.sort(draw_per_code(rows.y, DRAWN_ROWS // task.n_classes, task.generator)))

    def _cells(self, task: FitData, rows: Samples, validation: Samples) -> BalanceCells:
        """Infer the cells of a draw from its own seed."""
        seed, options = int(task.generator.integers(2**31)), dict(self.group_inference_params or {})
        return find_cells(
            rows, validation, task.n_classes, self.group_inference, options, seed=seed, device=self.device
        )

    def _scaled_network(self, rows: Samples, n_classes: int) -> FeatureHead:
        if self.head is not None:
            return initial_head(self.head, rows, n_classes, self.l2)
        network = self._build(rows.shape, n_classes)
        network.standardize.set(*rows.moments())
        return network

    def _record_losses(self, draw: int, edited: Edited, epochs: int) -> None:
        """Add a draw's outer losses to the history; warn if they end early."""
        for fold, losses in enumerate(edited.losses):
            self.history_ += [
                {"epoch": epoch, "outer_loss": loss, "draw": draw, "fold": fold} for epoch, loss in enumerate(losses, 1)
            ]
            if len(losses) < epochs:
                self._stopped(len(losses) + 1, len(losses))

    def _record_scores(self, validation: Samples, logits: Tensor, scores: np.ndarray) -> None:
        """Add to the history the held-out scores that each epoch would have if all draws kept it."""
        for epoch, score in enumerate(scores.tolist()):
            metrics = evaluate_groups(validation.y, logits[:, epoch].argmax(1).numpy(), validation.groups)
            rules = {n: rule for n, rule in RULES.items() if n != "worst_group" or validation.groups is not None}
            values = {f"val_{name}": float(rule(metrics)) for name, rule in rules.items()}
            self.history_.append({"epoch": epoch, "val_cells": score, **values})

    def _keep(self, support: Samples, after: Tensor) -> None:
        self.support_before_ = support.inputs(slice(None), torch.float64).numpy()
        self.support_after_ = after.double().cpu().numpy()
        self.support_labels_ = support.y

    def _stopped(self, epoch: int, last: int) -> None:
        kept = f"the head of epoch {last}" if last > 0 else "the head before editing"
        warnings.warn(
            f"the gradient of the support is no longer finite in epoch {epoch}: stopped with {kept}; lower inner_rate "
            f"or outer_rate (now {self.inner_rate:g} and {self.outer_rate:g})",
            stacklevel=5,
        )


def _whitening(network: FeatureHead, rows: Samples, generator: np.random.Generator) -> Whitening:
    """Return the whitening of training features, from as many of them as tell their correlations."""
    some = rows.take(np.sort(generator.permutation(len(rows))[:WHITENING_ROWS]))
    correlation = torch.zeros(rows.shape[0], rows.shape[0], device=network.linear.weight.device)
    for part in some.slices(512):
        z = network.standardize(some.inputs(part, torch.float64).to(correlation.device)).float()
        correlation += z.T @ z / len(some)
    return shrunk_whitening(correlation)
