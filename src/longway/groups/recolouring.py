"""The pseudo-attribute as appearance: whether recolouring an image changes it, and views of images so changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longway.data.samples import Samples
from longway.functional.colour import colour_maps, colour_moments
from longway.groups.axes import AxisGroups

WITNESSES = 2048
"""Images on which it is judged whether recolouring changes the pseudo-attribute."""


@dataclass(frozen=True)
class Recolouring:
    """Linear maps of pixels that give images of one pseudo-attribute the colours of another.

    Where the shortcut is appearance (colour, stain, light), these maps exchange it and leave every shape as it is, so
    they make the samples that contradict the shortcut, also where the training data hold none.

    Parameters
    ----------
    maps : Tensor of shape (V, V, c, c)
        ``maps[a, b] @ pixel`` makes an image of value a look like one of value b.
    flipped : float
        Share of images whose pseudo-attribute, read off the shortcut axes, is the one aimed at after recolouring.
    """

    maps: Tensor
    flipped: float

    @property
    def is_the_shortcut(self) -> bool:
        """Whether recolouring is all that it takes to change the pseudo-attribute, in 9 images of 10."""
        return self.flipped >= 0.9

    def apply(self, images: Tensor, of: Tensor, to: Tensor) -> Tensor:
        """Return images (n, c, h, w) of values ``of`` (n,) as if they had the values ``to`` (n,), within [0, 1]."""
        recoloured = torch.einsum("nij,njhw->nihw", self.maps.to(images)[of, to], images).clamp(0, 1)
        return torch.where((of == to).view(-1, 1, 1, 1), images, recoloured)


def recolouring(rows: Samples, found: AxisGroups, *, seed: int) -> Recolouring:
    """Fit recolourings between the values of a pseudo-attribute, and see whether they change it.

    Maps that turn the colours and keep the brightness come first; where they do not change the pseudo-attribute, those
    that match the moments of the colours stand in, which may leave a trace (see ``colour_maps``).

    Parameters
    ----------
    rows : Rows
        Training images, those that the groups were inferred from.
    found : AxisGroups
        Groups read off shortcut axes.
    seed : int
        Draws the images on which the maps are judged, and what they are changed to.

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
            total += moment * share.view(-1, *[1] * (moment.ndim - 1))
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(rows))[:WITNESSES])
    of = found.attribute[chosen]
    to = (of + generator.integers(1, n_values, len(chosen))) % n_values
    witnesses = rows.inputs(chosen), torch.from_numpy(of), torch.from_numpy(to)

    def judged(*, matched: bool) -> Recolouring:
        """Return maps, and how often they change what is read off the axes."""
        maps = colour_maps(*totals, matched=matched).float()
        swapped = Recolouring(maps, 0.0).apply(*witnesses)
        read = found.attribute_of(Samples(swapped.numpy(), rows.y[chosen], np.ones(len(chosen))))
        return Recolouring(maps, float((read == to).mean()))

    turned = judged(matched=False)
    return turned if turned.is_the_shortcut else judged(matched=True)
