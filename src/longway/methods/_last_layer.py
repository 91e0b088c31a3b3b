"""The base of methods that retrain a linear head on features: candidates fitted on one part, selected on another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longway.data.folds import halves
from longway.data.samples import Samples
from longway.linear._batched_logistic import WeightedChunks, descend_heads, solve_heads
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import standardized_features
from longway.linear.head import HeadStack, LinearHead
from longway.methods._base import FitData, Method
from longway.methods._parameters import parameters
from longway.metrics.group_metrics import evaluate_groups
from longway.training.selection import RULES, resolve_rule
from longway.utils.device import resolve_device

Setting = Mapping[str, float]
"""A candidate: numbers by parameter."""


@dataclass(frozen=True)
class Parts:
    """The parts of the data and their roles.

    Parameters
    ----------
    first : Samples
        Standardise the features and train the first head, if there is one.
    retrain : Samples
        Train the candidates.
    judge : Samples
        Select among the candidates.
    pool : Samples
        Train the selected setting again; ``retrain`` itself if there are no more samples.
    source : str
        Origin of ``judge``, for the record.
    retrained_on : str
        Origin of ``pool``.
    generator : numpy Generator
        For random choices among the samples.
    rival : FeatureHead, optional
        Another head trained on ``first``, if a method compares the two.
    """

    first: Samples
    retrain: Samples
    judge: Samples
    pool: Samples
    source: str
    retrained_on: str
    generator: np.random.Generator
    rival: FeatureHead | None = None


@parameters
class LastLayer(Method):
    """A method that retrains the last layer; a subclass defines the candidates and how they are trained.

    Parameters
    ----------
    validation_fraction : float, default 0.2
    **method
        All parameters of ``Method``.

    Attributes
    ----------
    retrained_on_ : {"eval_set", "validation_fraction", "training data"}
        The data that the head was retrained on; the training data if the others lack a class.
    """

    supervision = "val_groups"

    validation_fraction: float = 0.2
    on = "val"

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> FeatureHead:
        return FeatureHead(input_shape[0], n_classes).double()

    @abstractmethod
    def _settings(self) -> Sequence[Setting]:
        """Return the candidates."""

    @abstractmethod
    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> HeadStack:
        """Return the head of each setting, trained on these samples, whose features ``first`` standardises."""

    def _first(self, rows: Samples, n_classes: int) -> FeatureHead:
        """Return the head to start from, or an untrained one that only standardises the features."""
        network = self._build(rows.shape, n_classes)
        network.standardize.set(*rows.moments())
        return network

    def _final(self, first: FeatureHead, parts: Parts, heads: HeadStack, best: int) -> LinearHead:
        """Return the head of the best setting, trained on all samples available to it."""
        if parts.pool is parts.retrain:
            return heads.pick(best)
        return self._solve(first, parts.pool, [self._settings()[best]], parts).pick(0)

    def _parts(self, task: FitData) -> Parts:
        """Retrain on one half of the validation data and select on the other, or retrain on the training data."""
        rows, validation, source = self._held_out(task)
        lacks_class = len(np.unique(validation.y)) < task.n_classes
        if self.on == "train" or lacks_class:
            return Parts(rows, rows, validation, rows, source, "training data", task.generator)
        one, other = halves(validation, task.n_classes, task.generator)
        retrain = validation if one is other else validation.take(one)
        return Parts(rows, retrain, validation.take(other), validation, source, source, task.generator)

    def _held_out(self, task: FitData) -> tuple[Samples, Samples, str]:
        """Return training data, validation data, and the source of the latter."""
        return task.split(self.validation_fraction)

    def _fit(self, task: FitData) -> nn.Module:
        parts = self._parts(task)
        network = self._first(parts.first, task.n_classes).to(resolve_device(self.device))
        settings = self._settings()
        rule = resolve_rule(self.selection, parts.judge.groups)
        heads = self._solve(network, parts.retrain, settings, parts)
        scores = judge(network, heads, parts.judge)
        # Classes and groups that the validation data lack have no score; the others decide. Ties go to the most
        # balanced setting (all tie when no setting gets a tiny group right), then to the first.
        best = max(range(len(scores)), key=lambda i: (scores[i][f"val_{rule}"], scores[i]["val_balanced"], -i))
        self.history_ = [
            {"epoch": i, **setting, **record}
            for i, (setting, record) in enumerate(zip(settings, scores, strict=True), 1)
        ]
        self.selection_: dict[str, Any] = {
            "rule": rule,
            "epoch": best + 1,
            "setting": dict(settings[best]),
            "score": scores[best][f"val_{rule}"],
            "data": parts.source,
        }
        network.set_linear(self._final(network, parts, heads, best))
        self.retrained_on_ = parts.retrained_on
        return network


def judge(network: FeatureHead, heads: HeadStack, rows: Samples) -> list[dict[str, float]]:
    """Return the validation scores of each head, by rule."""
    predicted = rows.gather(
        lambda part: heads.logits(
            standardized_features(network, rows.take(np.arange(part.start, part.stop)), heads.weight.dtype)
        ).argmax(2)
    ).numpy()
    records = []
    for column in predicted.T:
        metrics = evaluate_groups(rows.y, column, rows.groups)
        rules = {name: rule for name, rule in RULES.items() if name != "worst_group" or rows.groups is not None}
        records.append({f"val_{name}": float(rule(metrics)) for name, rule in rules.items()})
    return records


def precision(rows: Samples) -> torch.dtype:
    """Return the precision to solve in: double if that is cheap."""
    return torch.float64 if len(rows) * rows.shape[0] <= 2**22 else torch.float32


def weighted_chunks(network: FeatureHead, rows: Samples, weights: np.ndarray, dtype: torch.dtype) -> WeightedChunks:
    """Return an iterator over standardised features, labels and weights (n, P), held in memory if they are small."""
    device = network.linear.weight.device
    labels, tensor = torch.from_numpy(rows.y).to(device), torch.from_numpy(weights).to(device, dtype)
    if rows.is_small:
        held = standardized_features(network, rows, dtype)
        return lambda: iter([(held, labels, tensor)])

    def stream() -> Any:
        for part in rows.slices():
            features = network.standardize(rows.inputs(part, torch.float64).to(device)).to(dtype)
            yield features, labels[part], tensor[part]

    return stream


def solve_from(
    first: FeatureHead,
    rows: Samples,
    weights: np.ndarray,
    settings: Sequence[Setting],
    steps: int | None = None,
    clip: float | None = None,
    **optimizer: Any,
) -> HeadStack:
    """Solve one problem for each setting, starting at the first head.

    Parameters
    ----------
    first : FeatureHead
    rows : Samples
    weights : ndarray of shape (n, P)
    settings : sequence of P mappings
        ``pull``, the weight of the squared distance to the first head; or, with ``steps``, ``rate``, the step size.
    steps : int, optional
        Gradient steps of the published algorithms; by default, the convex problem is solved to its optimum.
    clip : float, optional
        Upper bound on the norm of the gradient of such a step.
    **optimizer
        ``optimizer``, ``momentum`` and ``weight_decay`` of these steps, as in ``descend_heads``.
    """
    dtype, device = precision(rows), first.linear.weight.device

    def column(name: str) -> Tensor:
        return torch.tensor([setting.get(name, 0.0) for setting in settings], dtype=dtype, device=device)

    chunks = weighted_chunks(first, rows, weights, dtype)
    start = HeadStack(*(part.to(dtype) for part in HeadStack.repeat(head_of(first), len(settings))))
    l2 = 2 * column("pull")  # the papers' penalty is not halved, the solver's is
    if steps is not None:
        return descend_heads(chunks, start, l2=l2, rate=column("rate"), steps=steps, clip=clip, **optimizer)
    return solve_heads(chunks, start, l2=l2, centre=start, tolerance=tolerance(dtype))


def tolerance(dtype: torch.dtype) -> float:
    """Return the norm of the gradient at which a solver stops: a few digits above the precision of its sums."""
    return 1e-6 if dtype == torch.float64 else 1e-5


def head_of(network: FeatureHead) -> LinearHead:
    """Return a copy of a network's last layer."""
    return LinearHead(network.linear.weight.detach().clone(), network.linear.bias.detach().clone())
