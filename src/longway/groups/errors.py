"""Groups from errors: the samples that a deliberately weak, cross-fitted classifier gets wrong."""

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
        The weak classifiers, one per fold.
    **inferred
        As in ``InferredGroups``.
    """

    strategy: ClassVar[str] = "errors"

    judge: CrossFit

    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return 1 where the weak classifiers together get a sample wrong, of shape (m,); uses labels."""
        return (self.judge.predict(rows).argmax(1).numpy() != rows.y).astype(np.int64)

    def common_attribute(self, rows: Samples | None = None) -> np.ndarray | None:
        """Return the predicted class."""
        probabilities = self.judge.probabilities if rows is None else self.judge.predict(rows)
        return probabilities.argmax(1).numpy()

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
    """Use the errors of a weak classifier as the pseudo-attribute.

    A weak classifier learns the easiest feature, the shortcut, and is wrong where the shortcut does not hold. On
    features it is a linear head with a strong L2 penalty, on images a small network that is stopped early. It is fitted
    once per fold and predicts only samples that it was not trained on, because it may have memorised the others.

    Parameters
    ----------
    rows : Samples
        Training data.
    n_classes : int
        C.
    seed : int
        Seed of the folds and of training.
    folds : int, default 3
    l2 : float, default 10
        Penalty of the linear head, on standardised features; a stronger one makes a weaker head.
    epochs : int, default 2
        Of the network on images; fewer make a weaker network.
    batch_size, learning_rate
        Of the network on images.
    class_balanced : bool, default True
        Whether to weight classes equally; otherwise the errors are mostly those of rare classes.
    min_group_size : int, default 5
        A smaller group is unreliable and raises a caveat.
    device : str, default "auto"
    verbose : int, default 0
        Unused.

    Returns
    -------
    ErrorGroups

    Raises
    ------
    NoGroupsError
        If the classifier is right on all samples, or on none.

    References
    ----------
    Liu et al., "Just Train Twice", ICML 2021, for the error set; cross-fitting is ours.
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
        outcome, remedy = ("wrong", "stronger") if attribute[0] else ("right", "weaker")
        raise NoGroupsError(
            f"group_inference='errors' finds no groups: the weak classifier is {outcome} on every sample, even on "
            f"held-out ones. Make it {remedy} with group_inference_params (l2 for features, epochs for images), or "
            "choose another strategy"
        )
    groups = 2 * rows.y + attribute
    return ErrorGroups(attribute, groups, 2, _caveats(attribute, rows.y, n_classes, min_group_size), judge)


def _caveats(wrong: np.ndarray, y: np.ndarray, n_classes: int, min_group_size: int) -> tuple[str, ...]:
    """Return the reasons to distrust errors as groups."""
    caveats = list(size_caveats(2 * y + wrong, 2 * n_classes, min_group_size))
    error_rate = (np.bincount(y, wrong, n_classes) / np.bincount(y, minlength=n_classes)).mean()
    if error_rate > 0.8 * (1 - 1 / n_classes):  # guessing is wrong on 1 - 1/C of each class
        caveats.append(
            f"the weak classifier is wrong on {100 * error_rate:.0f} % of the samples, hardly better than guessing: "
            "its errors are nearly random"
        )
    return tuple(caveats)
