"""The base of methods that retrain a linear head on features: candidates on one part of the data, chosen on another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from longway.data.samples import Samples, halves
from longway.linear._hypergradient import Head
from longway.linear._ridge_path import WeightedChunks
from longway.linear.fit import scaled
from longway.linear.head import Heads
from longway.linear.module import FeatureHead
from longway.methods._base import FitData, Method
from longway.metrics.group_metrics import evaluate_groups
from longway.training.selection import RULES, resolve_rule
from longway.utils.device import resolve_device

Setting = Mapping[str, float]
"""One candidate: numbers by parameter."""


@dataclass(frozen=True)
class Parts:
    """Which rows serve for what.

    Parameters
    ----------
    first : Rows
        Scale of features, and the first head where there is one.
    retrain : Rows
        The candidates are trained on these.
    judge : Rows
        The candidates are judged on these.
    pool : Rows
        The chosen setting is trained on these again; ``retrain`` itself where there is nothing more.
    source : str
        Where ``judge`` comes from, for the record.
    retrained_on : str
        Where ``pool`` comes from.
    generator : numpy Generator
        For random choices among the rows.
    rival : FeatureHead, optional
        Another head trained on ``first``, where a method compares the two.
    """

    first: Samples
    retrain: Samples
    judge: Samples
    pool: Samples
    source: str
    retrained_on: str
    generator: np.random.Generator
    rival: FeatureHead | None = None


class LastLayer(Method):
    """A method that retrains the last layer; a subclass says what the candidates are and how they are trained.

    Attributes
    ----------
    retrained_on_ : {"eval_set", "validation_fraction", "training data"}
        The data that the head was retrained on. It is the training data where the others lack a class.
    """

    supervision = "val_groups"

    on: str = "val"

    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> FeatureHead:
        return FeatureHead(input_shape[0], n_classes).double()

    @abstractmethod
    def _settings(self) -> Sequence[Setting]:
        """Return the candidates."""

    @abstractmethod
    def _solve(self, first: FeatureHead, rows: Samples, settings: Sequence[Setting], parts: Parts) -> Heads:
        """Return the head of each setting, trained on these rows, of features as ``first`` scales them."""

    def _first(self, rows: Samples, n_classes: int) -> FeatureHead:
        """Return the head to start from; without need of one, what scales the features."""
        network = self._build(rows.shape, n_classes)
        network.standardize.set(*rows.moments())
        return network

    def _final(self, first: FeatureHead, parts: Parts, heads: Heads, best: int) -> Head:
        """Return the head of the best setting, trained on all rows there are for it."""
        if parts.pool is parts.retrain:
            return heads.pick(best)
        return self._solve(first, parts.pool, [self._settings()[best]], parts).pick(0)

    def _parts(self, task: FitData) -> Parts:
        """Split data: retrain on half of the validation data and judge on the other, or retrain on training data."""
        rows, validation, source = self._held_out(task)
        lacks_class = len(np.unique(validation.y)) < task.n_classes
        if self.on == "train" or lacks_class:
            return Parts(rows, rows, validation, rows, source, "training data", task.generator)
        one, other = halves(validation, task.n_classes, task.generator)
        retrain = validation if one is other else validation.take(one)
        return Parts(rows, retrain, validation.take(other), validation, source, source, task.generator)

    def _held_out(self, task: FitData) -> tuple[Samples, Samples, str]:
        """Return training data, validation data, and where the latter come from."""
        return task.split(self.validation_fraction)

    def _fit(self, task: FitData) -> nn.Module:
        parts = self._parts(task)
        network = self._first(parts.first, task.n_classes).to(resolve_device(self.device))
        settings = self._settings()
        rule = resolve_rule(self.selection, parts.judge.groups)
        heads = self._solve(network, parts.retrain, settings, parts)
        scores = judge(network, heads, parts.judge)
        # A class or group that the validation data lack has no score; what is left decides. Of equals the most balanced
        # wins (where no setting gets a tiny group right, all are equal), and then the first.
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


def judge(network: FeatureHead, heads: Heads, rows: Samples) -> list[dict[str, float]]:
    """Return the validation scores of each head, by rule."""
    predicted = rows.gather(
        lambda part: heads.logits(
            scaled(network, rows.take(np.arange(part.start, part.stop)), heads.weight.dtype)
        ).argmax(2)
    ).numpy()
    records = []
    for column in predicted.T:
        metrics = evaluate_groups(rows.y, column, rows.groups)
        rules = {name: rule for name, rule in RULES.items() if name != "worst_group" or rows.groups is not None}
        records.append({f"val_{name}": float(rule(metrics)) for name, rule in rules.items()})
    return records


def precision(rows: Samples) -> torch.dtype:
    """Return the precision to solve in: double where that is cheap."""
    return torch.float64 if len(rows) * rows.shape[0] <= 2**22 else torch.float32


def weighted_chunks(network: FeatureHead, rows: Samples, weights: np.ndarray, dtype: torch.dtype) -> WeightedChunks:
    """Return an iterator over scaled features, labels and weights (n, P), held in memory where they are small."""
    device = network.linear.weight.device
    labels, tensor = torch.from_numpy(rows.y).to(device), torch.from_numpy(weights).to(device, dtype)
    if rows.is_small:
        held = scaled(network, rows, dtype)
        return lambda: iter([(held, labels, tensor)])

    def stream() -> Any:
        for part in rows.slices():
            features = network.standardize(rows.inputs(part, torch.float64).to(device)).to(dtype)
            yield features, labels[part], tensor[part]

    return stream


def cells(rows: Samples) -> np.ndarray:
    """Return the cell (class within group, or class where no groups are known) of each row, of shape (n,)."""
    codes = rows.y if rows.groups is None else rows.groups * (rows.y.max() + 1) + rows.y
    return np.unique(codes, return_inverse=True)[1]


def balance(rows: Samples, codes: np.ndarray) -> np.ndarray:
    """Return weights (n,) that sum to 1, with which all ``codes`` count the same; sample weights count within each."""
    totals = np.bincount(codes, weights=rows.weight)
    weights = rows.weight / np.where(totals > 0, totals, 1)[codes]
    return weights / weights.sum()


def head_of(network: FeatureHead) -> Head:
    """Return a copy of a network's last layer."""
    return Head(network.linear.weight.detach().clone(), network.linear.bias.detach().clone())
