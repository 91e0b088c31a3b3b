"""The pseudo-attribute as appearance: maps that recolour images from one value to another, and a test of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longway.data.samples import Samples
from longway.functional.colour import colour_maps, colour_moments
from longway.groups.axes import AxisGroups

WITNESSES = 2048
"""Images for testing whether recolouring changes the pseudo-attribute."""


@dataclass(frozen=True)
class Recolouring:
    """Linear maps of pixels that give images of one pseudo-attribute the colours of another.

    If the shortcut is appearance (colour, stain, light), these maps exchange it and preserve every shape. They create
    samples that contradict the shortcut even if the training data hold none.

    Parameters
    ----------
    maps : Tensor of shape (V, V, c, c)
        ``maps[a, b] @ pixel`` makes an image of value a look like one of value b.
    flipped : float
        Fraction of images whose pseudo-attribute, read off the shortcut axes, is the intended one after recolouring.
    """

    maps: Tensor
    flipped: float

    @property
    def is_the_shortcut(self) -> bool:
        """True if recolouring alone changes the pseudo-attribute of 9 images in 10."""
        return self.flipped >= 0.9

    def apply(self, images: Tensor, of: Tensor, to: Tensor) -> Tensor:
        """Recolour images (n, c, h, w) from the values ``of`` (n,) to the values ``to`` (n,), within [0, 1]."""
        recoloured = torch.einsum("nij,njhw->nihw", self.maps.to(images)[of, to], images).clamp(0, 1)
        return torch.where((of == to).view(-1, 1, 1, 1), images, recoloured)


def recolouring(rows: Samples, found: AxisGroups, *, seed: int) -> Recolouring:
    """Fit maps between the values of a pseudo-attribute, and test whether they change it.

    Maps that rotate colours and preserve brightness are tried first. If they do not change the pseudo-attribute, maps
    that match the moments of the colours are used, which may leave a trace (see ``colour_maps``).

    Parameters
    ----------
    rows : Samples
        Training images, those that the groups were inferred from.
    found : AxisGroups
        Groups read off shortcut axes.
    seed : int
        Seed of the images that the maps are tested on and of their new values.

    Returns
    -------
    Recolouring
    """
    n_values = found.n_values
    totals = [torch.zeros(n_values, rows.shape[0]).double(), torch.zeros(n_values, *2 * rows.shape[:1]).double()]
    counts = torch.from_numpy(np.bincount(found.attribute, minlength=n_values)).double()
    for part in rows.slices():
        values = torch.from_numpy(found.attribute[part])
        share = torch.bincount(values, minlength=n_values) / counts.clamp_min(1)
        for total, moment in zip(totals, colour_moments(rows.inputs(part), values, n_values), strict=True):
            # Combine the mean moments of batches by their fraction of each value's images.
            total += moment * share.view(-1, *[1] * (moment.ndim - 1))
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(rows))[:WITNESSES])
    of = found.attribute[chosen]
    # Any value but the image's own.
    to = (of + generator.integers(1, n_values, len(chosen))) % n_values
    witnesses = rows.inputs(chosen), torch.from_numpy(of), torch.from_numpy(to)

    def fitted(*, matched: bool) -> Recolouring:
        """Return maps and the fraction of images that they change as intended."""
        maps = colour_maps(*totals, matched=matched).float()
        swapped = Recolouring(maps, 0.0).apply(*witnesses)
        read = found.attribute_of(Samples(swapped.numpy(), rows.y[chosen], np.ones(len(chosen))))
        return Recolouring(maps, float((read == to).mean()))

    rotated = fitted(matched=False)
    return rotated if rotated.is_the_shortcut else fitted(matched=True)
