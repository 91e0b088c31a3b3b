"""Just Train Twice: upweight the samples that a first, weak classifier gets wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import nn

from longway.data.samples import Samples, predict_logits
from longway.linear.fit import fit_linear
from longway.methods._base import FitData
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Categorical, Real
from longway.methods.erm import ERM
from longway.nn.classifier import CrossEntropy
from longway.training.loop import train
from longway.utils.rules import BOOLEAN, COUNT, NON_NEGATIVE, POSITIVE

PAPER: Mapping[str, Any] = {"copies": True, "optimizer": "sgd", "momentum": 0.9, "batch_size": 64}
"""Settings that the published runs share; those on text have Adam."""


@register
class JTT(ERM):
    """Train a weak classifier, then train again with the samples that it gets wrong upweighted (Just Train Twice).

    The first stage must be weak, or it gets every sample right and none is upweighted: a linear head has a strong L2
    penalty, a network few epochs. If it gets every sample right nevertheless, the result is that of ERM, and
    ``caveats`` says so.

    The paper adds ``upweight`` copies of each error to the data, so that it counts ``1 + upweight`` times. Here it has
    that weight in a linear head, and is drawn that much more often for a network, in epochs as long as those of ERM;
    with ``copies``, as in published settings, the data are repeated and epochs are longer.

    Parameters
    ----------
    upweight : float, default 19
        Copies of an error that are added, the paper's lambda.
    copies : bool, default False
        Repeat errors in the data instead of drawing them more often; ``upweight`` is then rounded.
    first_l2 : float, default 10
        L2 penalty of the first stage on features with ``hidden=()``; a stronger one makes more errors.
    first_epochs : int, default 5
        Epochs of the first stage of a network, the paper's T; fewer make more errors.
    selection : default "auto"
    **erm
        All other parameters of ``ERM``; learning rate, weight decay and batch size also hold for the first stage.

    Attributes
    ----------
    error_set_ : ndarray of shape (m,)
        Positions of the training samples that the first stage gets wrong and the second upweights.
    group_inference_ : dict
        Size of the error set and of the training data, and ``caveats``.

    References
    ----------
    Liu et al., "Just Train Twice: improving group robustness without training group information", ICML 2021.
    """

    needs = "training samples that a weak classifier gets wrong"
    supervision = "val_groups"
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "waterbirds": {
            "first_epochs": 60,
            "upweight": 100.0,
            **PAPER,
            "learning_rate": 1e-5,
            "weight_decay": 1.0,
            "epochs": 300,
        },
        "celeba": {
            "first_epochs": 1,
            "upweight": 50.0,
            **PAPER,
            "learning_rate": 1e-5,
            "weight_decay": 0.1,
            "epochs": 50,
        },
        "multinli": {
            "first_epochs": 2,
            "upweight": 4.0,
            **PAPER,
            "optimizer": "adamw",
            "learning_rate": 2e-5,
            "weight_decay": 0.0,
            "batch_size": 32,
            "epochs": 5,
        },
        "civilcomments": {
            "first_epochs": 2,
            "upweight": 6.0,
            **PAPER,
            "optimizer": "adamw",
            "learning_rate": 1e-5,
            "weight_decay": 0.01,
            "batch_size": 16,
            "epochs": 3,
        },
    }

    upweight: float = parameter(19.0, POSITIVE, search=Real(3, 100, log=True))
    first_l2: float = parameter(10.0, NON_NEGATIVE, search=Real(0.1, 100, log=True))
    first_epochs: int = parameter(5, COUNT, search=Categorical((1, 2, 5, 10)))
    copies: bool = parameter(False, BOOLEAN)
    selection: str = "auto"

    def _chosen(self, rows: Samples, task: FitData) -> Samples:
        if not self.copies:
            return rows
        return rows.take(np.repeat(np.arange(len(rows)), self._counts(rows, task).round().astype(np.int64)))

    def _weights(self, rows: Samples, task: FitData) -> np.ndarray | None:
        return None if self.copies else self._counts(rows, task)

    def _counts(self, rows: Samples, task: FitData) -> np.ndarray:
        """Return the number of times that each sample counts, of shape (n,)."""
        wrong = predict_logits(self._first_stage(rows, task), rows).argmax(1).numpy() != rows.y
        self.error_set_ = np.flatnonzero(wrong) if rows.index is None else rows.index[wrong]
        caveats = _caveats(wrong, self.upweight)
        self.group_inference_ = {"errors": int(wrong.sum()), "rows": len(rows), "caveats": caveats}
        return np.where(wrong, 1 + self.upweight, 1.0)

    def _first_stage(self, rows: Samples, task: FitData) -> nn.Module:
        """Return a weak classifier."""
        if self._is_solved(rows):
            return fit_linear(rows, task.n_classes, self.first_l2)
        network = self._fresh(rows, task)
        train(
            CrossEntropy(network),
            rows,
            self._schedule(self.first_epochs),
            generator=task.generator,
            device=self.device,
            verbose=self.verbose,
            description="JTT, first stage",
        )
        return network


def _caveats(wrong: np.ndarray, upweight: float) -> list[str]:
    """Return the reasons to distrust an error set."""
    if not wrong.any():
        return [
            "the first stage gets every sample right, so none is upweighted and the result is that of ERM: raise "
            "first_l2 (features) or lower first_epochs (images)"
        ]
    if wrong.mean() > 0.5:
        return [
            f"the first stage gets {100 * wrong.mean():.0f} % of the samples wrong: lower first_l2 (features) or raise "
            "first_epochs (images)"
        ]
    share = (1 + upweight) * wrong.mean() / ((1 + upweight) * wrong.mean() + (~wrong).mean())
    if share > 0.5:
        return [
            f"the errors of the first stage, {100 * wrong.mean():.0f} % of the samples, hold {100 * share:.0f} % of "
            "the weight: unless they are a minority, but hard or wrongly labelled samples, the second stage learns the "
            "opposite of the labels; lower upweight"
        ]
    return []
