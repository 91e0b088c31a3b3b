"""Candidate shortcut signals: one number per sample, and the side that is usual for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Signal:
    """One number per sample.

    Parameters
    ----------
    name, description : str
    source : {"axis", "metadata", "word"}
    index : int
        Number of the axis, column or word; -1 for a direction that is not a coordinate.
    values : ndarray of shape (n,), float64
    direction : ndarray of shape (k,), optional
        Shift of the coordinates that raises ``values`` by 1 without changing anything uncorrelated with it. None if
        inputs cannot be changed along the signal.
    cut : float or None
        The threshold that splits it; None for the midpoint of the class means.
    fitted_to_labels : bool
        True if the direction was fitted to labels (of samples other than those that it reads).
    column : str
        The metadata column that it comes from; empty for other signals.
    opposite : str
        Name of the low side of an indicator; by default that the value or word is not there.
    """

    name: str
    description: str
    source: Literal["axis", "metadata", "word"]
    index: int
    values: np.ndarray
    direction: np.ndarray | None = None
    cut: float | None = None
    fitted_to_labels: bool = False
    column: str = ""
    opposite: str = ""

    def side(self, high: bool) -> str:
        """Return the name of one side of an indicator."""
        return self.name if high else self.opposite or f"not {self.name}"

    @property
    def is_binary(self) -> bool:
        """True for an indicator of a value or a word."""
        return self.cut is not None and self.source != "axis"


@dataclass(frozen=True)
class SignalSplit:
    """A signal's split of each class into a usual and an unusual side.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The signal times ``sign``, so that the focus class is high.
    sign : {1, -1}
    focus : int
        The class most correlated with the signal.
    threshold : float
        On the scale of ``values``.
    usually_above : ndarray of bool of shape (C,)
        True for classes that usually lie above the threshold.
    contradicting : ndarray of bool of shape (n,)
        True for samples on the side that is unusual for their class.
    """

    values: np.ndarray
    sign: int
    focus: int
    threshold: float
    usually_above: np.ndarray
    contradicting: np.ndarray

    def margin(self, codes: np.ndarray) -> np.ndarray:
        """Return the distance (n,) of each sample from the threshold, positive on its class's usual side."""
        return np.where(self.usually_above[codes], 1, -1) * (self.values - self.threshold)


def center_by_class(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return values of shape (n,) or (n, k) minus the mean of their class, as float64."""
    centred = values.astype(np.float64)
    for code in np.unique(codes):
        own = codes == code
        centred[own] -= centred[own].mean(0)
    return centred


def correlations(values: np.ndarray, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the correlation of each column of values (n, m) with each class against the rest.

    Classes are weighted equally.

    Returns
    -------
    ndarray of shape (m, C)
        0 for a constant column.
    """
    weight = 1 / np.bincount(codes, minlength=n_classes)[codes]
    weight = weight / weight.sum()
    centred = values - weight @ values
    std = np.sqrt(weight @ centred**2)
    # A column that varies only by rounding error counts as constant; 1e-290 keeps an all-zero column off 0 > 0.
    std = np.where(std > 1e-12 * np.maximum(np.abs(values).max(0), 1e-290), std, np.inf)
    targets = np.eye(n_classes)[codes]
    targets = targets - weight @ targets
    return (centred * weight[:, None]).T @ targets / std[:, None] / np.sqrt(weight @ targets**2)


def split_signal(signal: Signal, codes: np.ndarray, n_classes: int) -> SignalSplit:
    """Split each class at the signal's cut, or halfway between its most correlated class and the others."""
    r = correlations(signal.values[:, None], codes, n_classes)[0]
    focus = int(np.abs(r).argmax())
    sign = 1 if r[focus] >= 0 else -1
    values = sign * signal.values
    counts = np.bincount(codes, minlength=n_classes)
    means = np.bincount(codes, values, n_classes) / counts
    middle = (means[focus] + np.delete(means, focus).mean()) / 2
    threshold = middle if signal.cut is None else sign * signal.cut
    above = values > threshold
    usually_above = np.bincount(codes, above, n_classes) / counts > 0.5
    if usually_above.all() or not usually_above.any():
        # One side is rare in every class: assign it to the class where it is least rare.
        usually_above = np.arange(n_classes) == focus
    return SignalSplit(values, sign, focus, float(threshold), usually_above, above != usually_above[codes])
