"""Nearest-neighbour vote as a module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

QUERIES = 256
"""Points per block of distances to all training points."""


class Neighbours(nn.Module):
    """Logits from the classes of the k nearest training points, by Euclidean distance.

    The training points are buffers, so that they are saved and moved with the module. There is one point until ``set``
    is called or a state is loaded.

    Parameters
    ----------
    n_features, n_classes : int
        d and C.
    n_neighbors : int
        k; all points if there are fewer.
    """

    points: Tensor
    labels: Tensor
    weights: Tensor

    def __init__(self, n_features: int, n_classes: int, n_neighbors: int) -> None:
        super().__init__()
        self.n_classes, self.n_neighbors = n_classes, n_neighbors
        self.register_buffer("points", torch.zeros(1, n_features))
        self.register_buffer("labels", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("weights", torch.ones(1))

    def set(self, points: Tensor, labels: Tensor, weights: Tensor) -> None:
        """Store points (n, d), class codes (n,) and sample weights (n,); points without weight are left out."""
        used = weights > 0
        self.points, self.labels = points[used].to(self.points), labels[used].to(self.labels)
        self.weights = (weights[used] / weights[used].mean()).to(self.weights)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, d) to the log proportions (n, C) of the classes in the vote, with 1 / C of a vote added to each."""
        if torch.compiler.is_exporting():  # a graph has no loop whose length depends on the batch
            return self._vote(x, self._products(x))
        # With matrix products the distance of equal points would not be zero, and would depend on the batch size.
        plain = "donot_use_mm_for_euclid_dist"
        parts = x.split(QUERIES)
        return torch.cat([self._vote(some, torch.cdist(some, self.points, compute_mode=plain)) for some in parts])

    def _products(self, x: Tensor) -> Tensor:
        """Return squared distances to all points by matrix products: exported graphs have no other operation."""
        # |x|^2 + |p|^2 - 2 x p cancels nearly to zero for close points: hence double precision.
        one, other = x.double(), self.points.double()
        return one.square().sum(1, keepdim=True) + other.square().sum(1) - 2 * one @ other.T

    def _vote(self, x: Tensor, distances: Tensor) -> Tensor:
        nearest = distances.topk(min(self.n_neighbors, len(self.points)), largest=False).indices
        votes = torch.full((x.shape[0], self.n_classes), 1 / self.n_classes, dtype=x.dtype, device=x.device)
        votes.scatter_add_(1, self.labels[nearest], self.weights[nearest].to(x.dtype))
        return (votes / votes.sum(1, keepdim=True)).log()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Resize the buffers to the state's number of points, then load it."""
        stored = state_dict.get(f"{prefix}points", self.points)
        for name in ("points", "labels", "weights"):
            here = getattr(self, name)
            setattr(self, name, here.new_empty((*stored.shape[:1], *here.shape[1:])))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if not self.labels.is_meta and not ((self.labels >= 0) & (self.labels < self.n_classes)).all():
            raise RuntimeError(f"labels of neighbours must be from 0 to {self.n_classes - 1}")
