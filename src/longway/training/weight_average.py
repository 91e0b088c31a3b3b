"""Running average of a network's weights over the steps of its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Polynomial-decay average of a module's weights, whose window grows with the training.

    Parameters
    ----------
    module : nn.Module
        On the device that trains it.
    window : float
        Length s of the window as a fraction of the steps so far: step t moves the average towards the new weights by
        :math:`1 / (1 + s (t - 1))`. 0 keeps only the newest weights; 1 is the mean over all steps.

    References
    ----------
    Shamir and Zhang, "Stochastic gradient descent for non-smooth optimization: convergence results and optimal
    averaging schemes", ICML 2013 (polynomial-decay averaging; their eta is 1 / s - 1).
    """

    def __init__(self, module: nn.Module, window: float) -> None:
        self.weights: list[Tensor] = [weights for weights in module.parameters() if weights.requires_grad]
        self.mean = [weights.detach().clone() for weights in self.weights]
        self.window, self.steps = window, 0

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the weights after a step."""
        # Step 1 has the rate 1, so the initial weights never enter the average. One fused kernel for all tensors.
        torch._foreach_lerp_(self.mean, self.weights, 1 / (1 + self.window * self.steps))
        self.steps += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the module the averaged weights while the body runs."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the module's weights and their average."""
        for weights, mean in zip(self.weights, self.mean, strict=True):
            current = weights.clone()
            weights.copy_(mean)
            mean.copy_(current)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"mean": list(self.mean), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state."""
        self.steps = state["steps"]
        for mean, saved in zip(self.mean, state["mean"], strict=True):
            mean.copy_(saved)
