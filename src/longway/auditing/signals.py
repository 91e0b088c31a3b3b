"""Signals that may be shortcuts: one number a row, and which side of it is usual for which class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Signal:
    """One number for each row.

    Parameters
    ----------
    name, description : str
    source : {"axis", "metadata", "word"}
    index : int
        Number of the axis, the column or the word; -1 for a direction that is no coordinate.
    values : ndarray of shape (n,), float64
    direction : ndarray of shape (k,), optional
        Change of the coordinates of the space that raises ``values`` by 1 and nothing that is uncorrelated with it;
        None where inputs cannot be changed along the signal.
    cut : float or None
        The threshold that splits it; None to take the midpoint of the class means.
    read_off_labels : bool
        Whether the direction was fitted to labels (of rows other than those that it reads).
    """

    name: str
    description: str
    source: Literal["axis", "metadata", "word"]
    index: int
    values: np.ndarray
    direction: np.ndarray | None = None
    cut: float | None = None
    read_off_labels: bool = False


@dataclass(frozen=True)
class SignalSplit:
    """How a signal splits the classes.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The signal, turned so that the focus class is high.
    sign : int
        1 or -1: what the signal was turned by.
    focus : int
        The class that goes with it most.
    threshold : float
        Of the turned values.
    usual : ndarray of bool of shape (C,)
        Whether a class is usually above.
    against : ndarray of bool of shape (n,)
        Rows on the side that is unusual for their class.
    """

    values: np.ndarray
    sign: int
    focus: int
    threshold: float
    usual: np.ndarray
    against: np.ndarray

    def margin(self, codes: np.ndarray) -> np.ndarray:
        """Return how far each row lies on its class's usual side, (n,); negative on the other."""
        return np.where(self.usual[codes], 1, -1) * (self.values - self.threshold)


def correlations(values: np.ndarray, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the correlation of each column of values (n, m) with each class against the rest, classes weighted alike.

    Returns
    -------
    ndarray of shape (m, C)
        0 for a constant column.
    """
    weight = 1 / np.bincount(codes, minlength=n_classes)[codes]
    weight = weight / weight.sum()
    centred = values - weight @ values
    spread = np.sqrt(weight @ centred**2)
    spread = np.where(spread > 1e-12 * np.maximum(np.abs(values).max(0), 1e-290), spread, np.inf)
    targets = np.eye(n_classes)[codes]
    targets = targets - weight @ targets
    return (centred * weight[:, None]).T @ targets / spread[:, None] / np.sqrt(weight @ targets**2)


def split(signal: Signal, codes: np.ndarray, n_classes: int) -> SignalSplit:
    """Split the classes at a signal's cut, or halfway between the class that goes with it most and the others."""
    r = correlations(signal.values[:, None], codes, n_classes)[0]
    focus = int(np.abs(r).argmax())
    sign = 1 if r[focus] >= 0 else -1
    values = sign * signal.values
    means = np.bincount(codes, values, n_classes) / np.bincount(codes, minlength=n_classes)
    middle = (means[focus] + np.delete(means, focus).mean()) / 2
    threshold = middle if signal.cut is None else sign * signal.cut
    above = values > threshold
    share = np.bincount(codes, above, n_classes) / np.bincount(codes, minlength=n_classes)
    usual = share > 0.5
    if usual.all() or not usual.any():  # one side is rare in all classes: it belongs to the class where it is least so
        usual = np.arange(n_classes) == focus
    return SignalSplit(values, sign, focus, float(threshold), usual, above != usual[codes])


def with_description(signal: Signal, description: str) -> Signal:
    """Return the signal under another description."""
    return replace(signal, description=description)
