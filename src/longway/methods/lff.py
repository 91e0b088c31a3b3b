"""Learning from Failure: a network that is made to take the shortcut tells another which samples to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples
from longway.functional.losses import generalized_cross_entropy
from longway.methods._base import FitData
from longway.methods._parameters import parameter
from longway.methods._registry import register
from longway.methods._search_space import Real
from longway.methods.erm import ERM
from longway.training.distributed import gathered
from longway.training.selection import LAST
from longway.utils.rules import BELOW_ONE, POSITIVE


@register
class LfF(ERM):
    """Train two networks at once: one that is biased on purpose, and one that learns where the first one fails.

    The biased network's loss, the generalised cross-entropy, favours samples that are already easy. The other network
    weights each sample by the biased network's loss relative to the sum of both losses; the losses are running means,
    divided by the largest of their class. Both networks are trained by gradient steps, even if the head is linear.

    As published, the weights of samples that the biased network gets right can go to zero. If it learns the shortcut
    perfectly and a class has only one other value of it, the second network then learns the reversed shortcut.

    The published setting keeps the last epoch, as its source does. By default an epoch is selected; if the validation
    data hold the shortcut, too, and have no groups, this prefers epochs that use it, and ``caveats`` says so.

    Parameters
    ----------
    q : float, default 0.7
        Exponent of the generalised cross-entropy; larger values favour easy samples more.
    smoothing : float, default 0.7
        Weight of the old value in the running mean of a sample's loss, the paper's alpha. A mean starts with the
        sample's first loss.
    hidden : sequence of int, default (128,)
        As in ``ERM``. A linear head learns slowly from the samples that its biased twin leaves.
    selection : default "auto"
    **erm
        All other parameters of ``ERM``, for both networks; ``l2`` has no effect.

    References
    ----------
    Nam et al., "Learning from failure: training debiased classifier from biased classifier", NeurIPS 2020.
    """

    needs = "a shortcut that is learnt first"
    always_trains = True
    supervision = "val_groups"
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cmnist": {
            "q": 0.7,
            "smoothing": 0.7,
            "hidden": (100, 100, 100),
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 0.0,
            "batch_size": 256,
            "epochs": 100,
            "selection": LAST,
        }
    }

    q: float = parameter(0.7, POSITIVE, search=Real(0.3, 0.9))
    smoothing: float = parameter(0.7, BELOW_ONE)
    hidden: Sequence[int] = (128,)
    selection: str = "auto"

    def _objective(self, network: nn.Module, rows: Samples, task: FitData) -> tuple[nn.Module, Sequence[np.ndarray]]:
        labels = torch.from_numpy(rows.y)
        objective = LfFObjective(network, self._fresh(rows, task), labels, task.n_classes, self.q, self.smoothing)
        return objective, (np.arange(len(rows)),)


class LfFObjective(nn.Module):
    """The losses of both networks, and the running mean of each sample's loss.

    Parameters
    ----------
    network, biased : nn.Module
        Inputs to logits.
    labels : Tensor of shape (n,)
        Labels of all training samples.
    n_classes : int
        C.
    q, smoothing : float
        See ``LfF``.
    """

    labels: Tensor
    costs: Tensor
    seen: Tensor

    def __init__(
        self, network: nn.Module, biased: nn.Module, labels: Tensor, n_classes: int, q: float, smoothing: float
    ) -> None:
        super().__init__()
        self.network, self.biased = network, biased
        self.n_classes, self.q, self.smoothing = n_classes, q, smoothing
        self.register_buffer("labels", labels)
        self.register_buffer("costs", torch.zeros(2, len(labels)))
        self.register_buffer("seen", torch.zeros(len(labels), dtype=torch.bool))

    def forward(self, x: Tensor, y: Tensor, weight: Tensor, sample: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch whose samples have the positions ``sample`` (n,) in the training data."""
        logits = self.network(x), self.biased(x)
        losses = [cross_entropy(part, y, reduction="none") for part in logits]
        importance = self._importance(torch.stack(losses).detach(), y, sample)
        debiased = (importance * losses[0] * weight).mean()
        biased = (generalized_cross_entropy(logits[1], y, self.q) * weight).mean()
        return {"loss": debiased + biased, "debiased": debiased, "biased": biased, "importance": importance.mean()}

    def _importance(self, losses: Tensor, y: Tensor, sample: Tensor) -> Tensor:
        """Update the running means with losses (2, n); return the weight of each sample, of shape (n,)."""
        # The smoothed losses of the paper's algorithm: an exponential moving average per sample.
        batch, fresh = gathered(sample), gathered(losses.T).T.to(self.costs.dtype)
        old = torch.where(self.seen[batch], self.costs[:, batch], fresh)
        self.costs[:, batch] = self.smoothing * old + (1 - self.smoothing) * fresh
        self.seen[batch] = True
        # Normalised per class, because the classes' losses differ in scale.
        largest = torch.zeros(2, self.n_classes, device=self.costs.device)
        largest.scatter_reduce_(1, self.labels.expand(2, -1), self.costs, "amax")
        network, biased = self.costs[:, sample] / largest[:, y].clamp_min(torch.finfo(losses.dtype).tiny)
        # The paper's relative difficulty; the constant avoids 0 / 0 for perfectly fitted samples.
        return biased / (network + biased + 1e-8)
