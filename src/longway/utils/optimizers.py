"""The optimisers of gradient steps, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

OPTIMIZERS = ("adamw", "sgd")
"""Names that `make_optimizer` knows."""


def make_optimizer(
    name: str,
    parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
) -> torch.optim.Optimizer:
    """Return an optimiser of parameters, or of groups of them with settings of their own.

    Parameters
    ----------
    name : {"adamw", "sgd"}
        "adamw" is Adam; its weight decay is decoupled, so it shrinks weights by the rate times the decay whatever the
        gradient. "sgd" is gradient descent with momentum; its decay is coupled, an L2 penalty in the loss.
    parameters : iterable of Tensor or dict
    learning_rate : float
    weight_decay : float, default 0
    momentum : float, default 0
        Of "sgd".
    """
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum, weight_decay=weight_decay)
    return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
