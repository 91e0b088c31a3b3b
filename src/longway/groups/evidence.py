"""Evidence of a shortcut in training data without group labels, and ways to contradict it."""

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
"""Recoloured validation images, held in memory, that select the epoch; at most."""

HELD_BACK = (
    "neither recolouring nor consistent errors of weak classifiers contradict the shortcut, so the classifier is held "
    "back instead: that costs average accuracy, and pays only if the shortcut is easier to learn than the core"
)
"""The caveat of images without confident evidence."""


@dataclass(frozen=True)
class ShortcutEvidence:
    """Evidence of the shortcut before a classifier is trained, and the way to contradict it.

    Parameters
    ----------
    training : Samples
    axes : AxisGroups
        Pseudo-groups from the axes of a beta-VAE.
    maps : Recolouring, optional
        For images.
    errors : ConsistentErrors, optional
        For images that recolouring does not debias.
    """

    training: Samples
    axes: AxisGroups
    maps: Recolouring | None = None
    errors: ConsistentErrors | None = None

    @property
    def debias_mode(self) -> str:
        """The way to contradict the shortcut.

        "recolouring" recolours images at random; "errors" weights the errors of weak classifiers like the other
        samples; "groups" weights the groups from axes equally; "noise" is left if nothing else applies.
        """
        if self.maps is not None and self.maps.is_the_shortcut and self.axes.is_reliable:
            return "recolouring"
        if self.errors is not None and self.errors.are_a_group:
            return "errors"
        return "noise" if self.axes.caveats else "groups"

    @property
    def is_confident(self) -> bool:
        """True if the evidence is about the shortcut; groups from axes may be those of another attribute."""
        return self.debias_mode in ("recolouring", "errors")

    @property
    def found(self) -> InferredGroups:
        """The groups for a method that needs some: from errors if these are a group, else from axes."""
        return self.errors.found if self.errors is not None and self.debias_mode == "errors" else self.axes

    @property
    def groups(self) -> InferredGroups | None:
        """The groups that are weighted equally, if any."""
        return self.found if self.debias_mode in ("errors", "groups") else None

    @cached_property
    def rows(self) -> Samples:
        """Training data in which these groups, or the classes with noise alone, are weighted equally."""
        if self.debias_mode == "recolouring":
            return self.training
        codes = self.training.y if self.groups is None else self.groups.groups
        return self.training.reweighted(self.training.weight * inverse_frequency(codes, self.training.weight))

    @property
    def rule(self) -> str:
        """The rule that selects the epoch: balanced accuracy on recoloured images, else the worst group or class."""
        return "balanced" if self.debias_mode == "recolouring" else "auto"

    def of_validation(self, validation: Samples, generator: np.random.Generator) -> Samples:
        """Return validation data that reveal whether an epoch uses the shortcut: recoloured, or with inferred groups.

        With noise alone they are returned unchanged.
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
        """Return a record of the evidence, ready for JSON; its caveats are those of the ``debias_mode``."""
        # Recolouring needs no groups, and is not used with unreliable axes
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
    """Find evidence of a shortcut and the way to contradict it.

    Parameters
    ----------
    rows : Samples
        Training data, features or images; groups are ignored.
    n_classes : int
        C.
    seed : int
        Seed of all training.
    device : str, default "auto"
    **options
        Options of ``shortcut_axes``.
    """
    axes = shortcut_axes(rows, n_classes, seed=seed, device=device, **options)
    if len(rows.shape) == 1:
        return ShortcutEvidence(rows, axes)
    found = ShortcutEvidence(rows, axes, recolouring(rows, axes, seed=seed))
    if found.debias_mode == "recolouring":
        return found
    return ShortcutEvidence(rows, axes, found.maps, consistent_errors(rows, n_classes, seed=seed, device=device))
