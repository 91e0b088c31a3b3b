"""What every way of inferring groups returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from longway.data.samples import Samples


@dataclass(frozen=True)
class InferredGroups(ABC):
    """Groups (class x pseudo-attribute) that were read off data without group labels.

    Parameters
    ----------
    attribute : ndarray of shape (n,), int64
        Pseudo-attribute of each training row, in ``0 .. n_values - 1``.
    groups : ndarray of shape (n,), int64
        ``class * n_values + attribute``.
    n_values : int
        How many values the pseudo-attribute can take.
    caveats : tuple of str
        Reasons not to trust the groups; empty where none was found.
    """

    strategy: ClassVar[str]
    """The name of the way, which ``infer_groups`` takes."""

    attribute: np.ndarray
    groups: np.ndarray
    n_values: int
    caveats: tuple[str, ...]

    def common_attribute(self, rows: Samples | None = None) -> np.ndarray | None:
        """Return for training rows, or others, a value that means the same in every class; None if there is none."""
        return None

    @abstractmethod
    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return the pseudo-attribute of other rows, of shape (m,); a way may look at their labels."""

    def assign(self, rows: Samples) -> np.ndarray:
        """Return the inferred group of each of other rows, of shape (m,), from its class and its pseudo-attribute."""
        return rows.y * self.n_values + self.attribute_of(rows)

    def summary(self) -> dict[str, Any]:
        """Return what a record of the fit should hold, ready for JSON."""
        sizes = np.bincount(self.groups).tolist()
        return {"strategy": self.strategy, **self._particulars(), "group_sizes": sizes, "caveats": list(self.caveats)}

    def _particulars(self) -> dict[str, Any]:
        """Return what is special to the way, ready for JSON."""
        return {}


def size_caveats(groups: np.ndarray, n_groups: int, min_group_size: int) -> tuple[str, ...]:
    """Return a doubt where a group has fewer than ``min_group_size`` samples."""
    least = np.bincount(groups, minlength=n_groups).min()
    if least >= min_group_size:
        return ()
    return (f"a group has {least} samples: hardly one contradicts the shortcut, so the groups say what the labels say",)
