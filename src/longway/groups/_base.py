"""The result that every strategy of group inference returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from longway.data.samples import Samples


@dataclass(frozen=True)
class InferredGroups(ABC):
    """Groups (class x pseudo-attribute) that were inferred without group labels.

    Parameters
    ----------
    attribute : ndarray of shape (n,), int64
        Pseudo-attribute of each training sample, in ``0 .. n_values - 1``.
    groups : ndarray of shape (n,), int64
        ``class * n_values + attribute``.
    n_values : int
        Number of values of the pseudo-attribute.
    caveats : tuple of str
        Reasons to distrust the groups; empty if there are none.
    """

    strategy: ClassVar[str]
    """The name of the strategy, which ``infer_groups`` takes."""

    attribute: np.ndarray
    groups: np.ndarray
    n_values: int
    caveats: tuple[str, ...]

    def common_attribute(self, rows: Samples | None = None) -> np.ndarray | None:
        """Return a value per sample that means the same in every class; None if there is none."""
        return None

    @abstractmethod
    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return the pseudo-attribute of other samples, of shape (m,); some strategies use their labels."""

    def assign(self, rows: Samples) -> np.ndarray:
        """Return the inferred group of other samples, of shape (m,), from their class and pseudo-attribute."""
        return rows.y * self.n_values + self.attribute_of(rows)

    def summary(self) -> dict[str, Any]:
        """Return a record of the inference, ready for JSON."""
        sizes = np.bincount(self.groups).tolist()
        return {"strategy": self.strategy, **self._particulars(), "group_sizes": sizes, "caveats": list(self.caveats)}

    def _particulars(self) -> dict[str, Any]:
        """Return the entries that are special to the strategy, ready for JSON."""
        return {}


def size_caveats(groups: np.ndarray, n_groups: int, min_group_size: int) -> tuple[str, ...]:
    """Return a caveat if a group has fewer than ``min_group_size`` samples."""
    least = np.bincount(groups, minlength=n_groups).min()
    if least >= min_group_size:
        return ()
    return (
        f"the smallest group has {least} samples: almost none contradicts the shortcut, so groups hardly differ from "
        "labels",
    )
