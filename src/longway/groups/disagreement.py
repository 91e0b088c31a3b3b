"""Groups from disagreement: the rows on which a weak and a strong classifier do not say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from longway.data.samples import Samples
from longway.groups._base import InferredGroups, size_caveats
from longway.groups.crossfit import CrossFit, cross_fit, linear_heads, stopped_nets
from longway.utils.errors import LongwayError, NoGroupsError
from longway.utils.rules import BOOLEAN, COUNT, NON_NEGATIVE, POSITIVE, Whole


@dataclass(frozen=True)
class DisagreementGroups(InferredGroups):
    """Groups whose pseudo-attribute is 1 where two classifiers disagree.

    Parameters
    ----------
    weak, strong : CrossFit
        The classifiers, one a fold.
    **inferred
        What all ``InferredGroups`` have.
    """

    strategy: ClassVar[str] = "disagreement"

    weak: CrossFit
    strong: CrossFit

    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return 1 where the two classifiers name different classes, of shape (m,)."""
        weak, strong = (judge.predict(rows).argmax(1) for judge in (self.weak, self.strong))
        return (weak != strong).numpy().astype(np.int64)

    def _particulars(self) -> dict[str, Any]:
        return {"disagreements": int(self.attribute.sum())}


def head_disagreement(
    rows: Samples,
    n_classes: int,
    *,
    seed: int,
    folds: Annotated[int, Whole(2)] = 3,
    l2: Annotated[float, NON_NEGATIVE] = 1e-3,
    strong_l2: Annotated[float, NON_NEGATIVE] = 100.0,
    epochs: Annotated[int, COUNT] = 20,
    early_epochs: Annotated[int, COUNT] = 2,
    batch_size: Annotated[int, COUNT] = 64,
    learning_rate: Annotated[float, POSITIVE] = 1e-3,
    class_balanced: Annotated[bool, BOOLEAN] = True,
    min_group_size: Annotated[int, COUNT] = 5,
    device: str = "auto",
    verbose: int = 0,
) -> DisagreementGroups:
    """Take for the pseudo-attribute whether a weak and a strong classifier disagree.

    Both learn the same; the weak one has had to make do with what is easiest, the shortcut. On features they are
    linear heads with a strong and with a weak ridge, on images one network early and late in its training. They judge
    only rows that they did not see. Unlike errors, disagreement needs no label of the row that is judged.

    Parameters
    ----------
    rows : Rows
        Training data.
    n_classes : int
        C.
    seed : int
        Of the folds and of training.
    folds : int, default 3
    l2, strong_l2 : float, default 1e-3 and 100
        Of the two linear heads on standardised features.
    epochs, early_epochs : int, default 20 and 2
        Of the network on images, when it is strong and when it is weak.
    batch_size, learning_rate
        Of the network on images.
    class_balanced : bool, default True
        Let every class count the same.
    min_group_size : int, default 5
        A group below this size is too small to lean on and raises a doubt.
    device : str, default "auto"
    verbose : int, default 0
        Not used.

    Returns
    -------
    DisagreementGroups

    Raises
    ------
    LongwayError
        If the two agree on all rows, or ``early_epochs`` is not below ``epochs``.

    References
    ----------
    LaBonte et al., "Towards last-layer retraining for group robustness with fewer annotations", NeurIPS 2023 (SELF),
    which takes the rows with the largest divergence; that rows are judged by classifiers that did not see them is not
    in it.
    """
    if early_epochs >= epochs:
        raise LongwayError(f"group_inference_params: early_epochs={early_epochs} must be below epochs={epochs}")
    if len(rows.shape) == 3:
        fit = stopped_nets(
            n_classes,
            [early_epochs, epochs],
            batch_size=batch_size,
            learning_rate=learning_rate,
            balanced="classes" if class_balanced else None,
            device=device,
        )
    else:
        fit = linear_heads(n_classes, [strong_l2, l2], class_balanced=class_balanced)
    weak, strong = cross_fit(rows, fit, folds, seed)
    differ = weak.probabilities.argmax(1) != strong.probabilities.argmax(1)
    attribute = differ.numpy().astype(np.int64)
    if not attribute.any():
        raise NoGroupsError(
            "group_inference='disagreement' finds no groups: the two classifiers agree on every sample. Set them "
            "further apart with group_inference_params (strong_l2 for features, early_epochs for images), or choose "
            "another strategy"
        )
    groups = 2 * rows.y + attribute
    return DisagreementGroups(attribute, groups, 2, size_caveats(groups, 2 * n_classes, min_group_size), weak, strong)
