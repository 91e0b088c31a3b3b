"""Principal components of standardised features: the coordinates in which an audit looks for signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MAX_COMPONENTS = 128
"""The cost of a head is linear in the components."""
PIECE = 4096
"""Rows that are converted to float64 at a time."""


@dataclass(frozen=True)
class PCASpace:
    """Principal components of standardised features.

    Parameters
    ----------
    mean, std : ndarray of shape (d,)
        Of each feature; the std of a constant feature is set to 1.
    basis : ndarray of shape (d, k)
        Orthonormal, sorted by falling variance; the largest entry of each component is positive.
    deviation : ndarray of shape (k,)
        Standard deviation of each component.
    """

    mean: np.ndarray
    std: np.ndarray
    basis: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray) -> PCASpace:
        """Find the components of features (n, d)."""
        mean = sum(part.sum(0) for part in _pieces(X)) / len(X)
        std = np.sqrt(sum(((part - mean) ** 2).sum(0) for part in _pieces(X)) / len(X))
        std = np.where(std > 1e-12 * np.maximum(np.abs(mean), 1e-290), std, 1.0)
        if X.shape[1] <= len(X):
            moments = sum(part.T @ part for part in (((part - mean) / std) for part in _pieces(X)))
            values, vectors = np.linalg.eigh(moments / len(X))
        else:  # more features than rows: the (n, n) Gram matrix is smaller and has the same non-zero eigenvalues
            scaled = (np.asarray(X, np.float64) - mean) / std
            values, left = np.linalg.eigh(scaled @ scaled.T / len(X))
            vectors = scaled.T @ left / np.sqrt(np.maximum(values, 1e-300) * len(X))
        order = np.argsort(-values, kind="stable")[:MAX_COMPONENTS]
        order = order[values[order] > 1e-9 * max(values.max(), 1.0)]  # the largest is 1 or more if any feature varies
        basis = vectors[:, order]
        basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(len(order))])
        return cls(mean, std, basis, np.sqrt(values[order]))

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Map features (m, d) to components (m, k), float64."""
        return np.concatenate([((part - self.mean) / self.std) @ self.basis for part in _pieces(X)])

    def shift_features(self, shift: np.ndarray) -> np.ndarray:
        """Map a shift of components (m, k) to the shift of features (m, d) that causes it."""
        return (shift @ self.basis.T) * self.std


def _pieces(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of X (n, d) as float64, piece by piece."""
    return (np.asarray(X[start : start + PIECE], np.float64) for start in range(0, len(X), PIECE))
