"""Groups from errors: the rows that a deliberately weak classifier gets wrong without having seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch

from longway.data.samples import Samples
from longway.groups._base import InferredGroups, size_caveats
from longway.groups.crossfit import CrossFit, cross_fit, linear_heads, stopped_nets
from longway.utils.errors import NoGroupsError
from longway.utils.rules import BOOLEAN, COUNT, NON_NEGATIVE, POSITIVE, Whole


@dataclass(frozen=True)
class ErrorGroups(InferredGroups):
    """Groups whose pseudo-attribute is 1 where a weak classifier is wrong.

    Parameters
    ----------
    judge : CrossFit
        The weak classifiers, one a fold.
    **inferred
        What all ``InferredGroups`` have.
    """

    strategy: ClassVar[str] = "errors"

    judge: CrossFit

    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return 1 where the weak classifiers together get a row wrong, of shape (m,); looks at labels."""
        return (self.judge.predict(rows).argmax(1).numpy() != rows.y).astype(np.int64)

    def common_attribute(self, rows: Samples | None = None) -> np.ndarray | None:
        """Return the class that a row is taken for."""
        told = self.judge.probabilities if rows is None else self.judge.predict(rows)
        return told.argmax(1).numpy()

    def _particulars(self) -> dict[str, Any]:
        return {"errors": int(self.attribute.sum())}


def weak_errors(
    rows: Samples,
    n_classes: int,
    *,
    seed: int,
    folds: Annotated[int, Whole(2)] = 3,
    l2: Annotated[float, NON_NEGATIVE] = 10.0,
    epochs: Annotated[int, COUNT] = 2,
    batch_size: Annotated[int, COUNT] = 64,
    learning_rate: Annotated[float, POSITIVE] = 1e-3,
    class_balanced: Annotated[bool, BOOLEAN] = True,
    min_group_size: Annotated[int, COUNT] = 5,
    device: str = "auto",
    verbose: int = 0,
) -> ErrorGroups:
    """Take for the pseudo-attribute whether a weak classifier gets a row wrong.

    A classifier that is held back takes what is easiest, the shortcut, and is wrong where it does not hold. On
    features it is a linear head with a strong ridge, on images a small network that is stopped early. It is fitted
    once a fold and judges only rows that it did not see: one that saw a row may have learnt it by heart.

    Parameters
    ----------
    rows : Rows
        Training data.
    n_classes : int
        C.
    seed : int
        Of the folds and of training.
    folds : int, default 3
    l2 : float, default 10
        Of the linear head on standardised features; the stronger, the weaker the head.
    epochs : int, default 2
        Of the network on images; the fewer, the weaker the network.
    batch_size, learning_rate
        Of the network on images.
    class_balanced : bool, default True
        Let every class count the same; the errors are else those of the rare classes.
    min_group_size : int, default 5
        A group below this size is too small to lean on and raises a doubt.
    device : str, default "auto"
    verbose : int, default 0
        Not used.

    Returns
    -------
    ErrorGroups

    Raises
    ------
    NoGroupsError
        If the classifier is right on all rows, or on none: errors name no group then.

    References
    ----------
    Liu et al., "Just Train Twice", ICML 2021 (the error set); the cross-fitting is not in it.
    """
    if len(rows.shape) == 3:
        fit = stopped_nets(
            n_classes,
            [epochs],
            batch_size=batch_size,
            learning_rate=learning_rate,
            balanced="classes" if class_balanced else None,
            device=device,
        )
    else:
        fit = linear_heads(n_classes, [l2], class_balanced=class_balanced)
    judge = cross_fit(rows, fit, folds, seed)[0]
    wrong = judge.probabilities.argmax(1) != torch.from_numpy(rows.y)
    attribute = wrong.numpy().astype(np.int64)
    if attribute.min() == attribute.max():
        said, more = ("wrong", "stronger") if attribute[0] else ("right", "weaker")
        raise NoGroupsError(
            f"group_inference='errors' finds no groups: the weak classifier is {said} on every sample, even on those "
            f"it was not trained on. Make it {more} with group_inference_params (l2 for features, epochs for images), "
            "or choose another strategy"
        )
    groups = 2 * rows.y + attribute
    return ErrorGroups(attribute, groups, 2, _caveats(attribute, rows.y, n_classes, min_group_size), judge)


def _caveats(wrong: np.ndarray, y: np.ndarray, n_classes: int, min_group_size: int) -> tuple[str, ...]:
    """Return the reasons not to trust errors as groups."""
    caveats = list(size_caveats(2 * y + wrong, 2 * n_classes, min_group_size))
    share = (np.bincount(y, wrong, n_classes) / np.bincount(y, minlength=n_classes)).mean()
    # Guessing is wrong on 1 - 1/C of each class
    if share > 0.8 * (1 - 1 / n_classes):
        caveats.append(
            f"the weak classifier is wrong on {100 * share:.0f} % of the rows, hardly better than guessing: its errors "
            "are near-random"
        )
    return tuple(caveats)
