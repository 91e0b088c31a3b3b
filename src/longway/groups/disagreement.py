"""Groups from disagreement: the samples on which a weak and a strong classifier disagree."""

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
        The classifiers, one per fold.
    **inferred
        As in ``InferredGroups``.
    """

    strategy: ClassVar[str] = "disagreement"

    weak: CrossFit
    strong: CrossFit

    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return 1 where the two classifiers predict different classes, of shape (m,)."""
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
    """Use the disagreement of a weak and a strong classifier as the pseudo-attribute.

    The weak classifier relies on the easiest feature, the shortcut. On features the two are linear heads with a strong
    and a weak L2 penalty, on images one network early and late in training. They predict only samples that they were
    not trained on. Unlike errors, disagreement does not need the label of the sample.

    Parameters
    ----------
    rows : Samples
        Training data.
    n_classes : int
        C.
    seed : int
        Seed of the folds and of training.
    folds : int, default 3
    l2, strong_l2 : float, default 1e-3 and 100
        Penalties of the strong and the weak linear head, on standardised features.
    epochs, early_epochs : int, default 20 and 2
        Of the network on images, as the strong and as the weak classifier.
    batch_size, learning_rate
        Of the network on images.
    class_balanced : bool, default True
        Whether to weight classes equally.
    min_group_size : int, default 5
        A smaller group is unreliable and raises a caveat.
    device : str, default "auto"
    verbose : int, default 0
        Unused.

    Returns
    -------
    DisagreementGroups

    Raises
    ------
    LongwayError
        If the two agree on all samples, or ``early_epochs`` is not below ``epochs``.

    References
    ----------
    LaBonte et al., "Towards last-layer retraining for group robustness with fewer annotations", NeurIPS 2023 (SELF),
    which takes the samples with the largest divergence; cross-fitting is ours.
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
