"""Coordinates in which an audit looks at features: principal components of what training saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MOST = 128
"""Components that are kept, at most: the cost of a head is linear in them."""
PIECE = 4096
"""Rows that are turned into float64 at once."""


@dataclass(frozen=True)
class Space:
    """Principal components of standardised features.

    Parameters
    ----------
    mean, std : ndarray of shape (d,)
        Of each feature; a constant one has the spread 1.
    basis : ndarray of shape (d, k)
        Orthonormal, the component of the largest variance first; signs are such that the largest entry is positive.
    deviation : ndarray of shape (k,)
        Of each component.
    """

    mean: np.ndarray
    std: np.ndarray
    basis: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, most: int = MOST) -> Space:
        """Find the components of features (n, d)."""
        mean = sum(part.sum(0) for part in _pieces(X)) / len(X)
        std = np.sqrt(sum(((part - mean) ** 2).sum(0) for part in _pieces(X)) / len(X))
        std = np.where(std > 1e-12 * np.maximum(np.abs(mean), 1e-290), std, 1.0)
        if X.shape[1] <= len(X):
            moments = sum(part.T @ part for part in (((part - mean) / std) for part in _pieces(X)))
            values, vectors = np.linalg.eigh(moments / len(X))
        else:  # as many components as rows: the other product is smaller
            scaled = (np.asarray(X, np.float64) - mean) / std
            values, left = np.linalg.eigh(scaled @ scaled.T / len(X))
            vectors = scaled.T @ left / np.sqrt(np.maximum(values, 1e-300) * len(X))
        order = np.argsort(-values, kind="stable")[:most]
        order = order[values[order] > 1e-9 * max(values.max(), 1.0)]  # 1 or more where any feature varies
        basis = vectors[:, order]
        basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(len(order))])
        return cls(mean, std, basis, np.sqrt(values[order]))

    def read(self, X: np.ndarray) -> np.ndarray:
        """Map features (m, d) to components (m, k), float64."""
        return np.concatenate([((part - self.mean) / self.std) @ self.basis for part in _pieces(X)])

    def back(self, shift: np.ndarray) -> np.ndarray:
        """Map a change of components (m, k) to the change of features (m, d) that makes it."""
        return (shift @ self.basis.T) * self.std


def _pieces(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of X (n, d) as float64, some at a time."""
    return (np.asarray(X[start : start + PIECE], np.float64) for start in range(0, len(X), PIECE))
