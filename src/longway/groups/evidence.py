"""How training can be made to contradict a shortcut, as far as the training data tell without a group label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from longway.data.samples import Samples
from longway.data.weights import inverse_frequency
from longway.groups._base import InferredGroups
from longway.groups.axes import AxisGroups, shortcut_axes
from longway.groups.consistent_errors import ConsistentErrors, consistent_errors
from longway.groups.recolouring import Recolouring, recolouring

MOST_RECOLOURED = 10_000
"""Validation images that are recoloured, and held in memory, to choose the epoch on."""

HELD_BACK = (
    "neither recolouring nor images on which weak classifiers agree contradict the shortcut, so the classifier is held "
    "back instead: that costs average accuracy, and pays only where the shortcut is easier to learn than the core"
)
"""What is to be said of images where nothing is sure."""


@dataclass(frozen=True)
class ShortcutEvidence:
    """What is known of the shortcut before a classifier is trained, and how to contradict it.

    Parameters
    ----------
    training : Rows
        The data.
    axes : AxisGroups
        Pseudo-groups from the axes of a beta-VAE.
    maps : Recolouring, optional
        Of images.
    errors : ConsistentErrors, optional
        Of images for which recolouring does not do.
    """

    training: Samples
    axes: AxisGroups
    maps: Recolouring | None = None
    errors: ConsistentErrors | None = None

    @property
    def debias_mode(self) -> str:
        """How: "recolouring" of images at random; "errors" of weak classifiers, or each of the axes' "groups", count as
        much as the rest; or "noise", where nothing else can be done.
        """
        if self.maps is not None and self.maps.is_the_shortcut and self.axes.is_plain:
            return "recolouring"
        if self.errors is not None and self.errors.are_a_group:
            return "errors"
        return "noise" if self.axes.caveats else "groups"

    @property
    def is_confident(self) -> bool:
        """Whether what contradicts the shortcut is sure to: groups of axes may be those of another attribute."""
        return self.debias_mode in ("recolouring", "errors")

    @property
    def found(self) -> InferredGroups:
        """The groups that a method which needs some had best take: of errors where these are a group, else of axes."""
        return self.errors.found if self.errors is not None and self.debias_mode == "errors" else self.axes

    @property
    def groups(self) -> InferredGroups | None:
        """The groups that count the same."""
        return self.found if self.debias_mode in ("errors", "groups") else None

    @cached_property
    def rows(self) -> Samples:
        """Training data; each of these groups weighs the same in them, or each class where there is the noise alone."""
        if self.debias_mode == "recolouring":
            return self.training
        codes = self.training.y if self.groups is None else self.groups.groups
        return self.training.reweighted(self.training.weight * inverse_frequency(codes, self.training.weight))

    @property
    def rule(self) -> str:
        """The name of the validation score that chooses the epoch: of all recoloured images, or of the worst part."""
        return "balanced" if self.debias_mode == "recolouring" else "auto"

    def of_validation(self, validation: Samples, generator: np.random.Generator) -> Samples:
        """Return validation data that can tell an epoch that uses the shortcut from one that does not.

        Recoloured like the training data, or with the same groups; as they are where there is the noise alone.
        """
        if self.groups is not None:
            return validation.grouped(self.groups.assign(validation))
        if self.debias_mode == "noise":
            return validation
        assert self.maps is not None
        chosen = validation.take(np.sort(generator.permutation(len(validation))[:MOST_RECOLOURED]))
        to = generator.integers(0, self.axes.n_values, len(chosen))
        pair = torch.from_numpy(self.axes.attribute_of(chosen)), torch.from_numpy(to)
        return Samples(self.maps.apply(chosen.inputs(slice(None)), *pair).numpy(), chosen.y, chosen.weight)

    def summary(self) -> dict[str, Any]:
        """Return what a record of the fit should hold, ready for JSON; doubts are about what is done."""
        # Recolouring needs no groups, and is not taken where the axes are in doubt
        of_groups = () if self.debias_mode == "recolouring" else self.found.caveats
        held_back = [HELD_BACK] if len(self.training.shape) == 3 and not self.is_confident else []
        return {
            **self.axes.summary(),
            "strategy": self.found.strategy,
            "caveats": [*of_groups, *held_back],
            "recoloured": None if self.maps is None else self.maps.flipped,
            "errors": None if self.errors is None else self.errors.summary(),
            "debias_mode": self.debias_mode,
        }


def find_shortcut_evidence(
    rows: Samples, n_classes: int, *, seed: int, device: str = "auto", **options: Any
) -> ShortcutEvidence:
    """Find out how the shortcut of training data can be contradicted.

    Parameters
    ----------
    rows : Rows
        Training data of features or images; no group is looked at.
    n_classes : int
        C.
    seed : int
        Of all that is trained.
    device : str, default "auto"
    **options
        Of ``shortcut_axes``.
    """
    axes = shortcut_axes(rows, n_classes, seed=seed, device=device, **options)
    if len(rows.shape) == 1:
        return ShortcutEvidence(rows, axes)
    found = ShortcutEvidence(rows, axes, recolouring(rows, axes, seed=seed))
    if found.debias_mode == "recolouring":
        return found
    return ShortcutEvidence(rows, axes, found.maps, consistent_errors(rows, n_classes, seed=seed, device=device))
