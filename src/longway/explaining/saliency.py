"""Where a network looks: Grad-CAM at its last convolution, or what it says of each place itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from longway.functional.gradcam import grad_cam
from longway.utils.errors import LongwayError


@runtime_checkable
class PlaceByPlace(Protocol):
    """A network whose logits are sums over pixels but for a part without a place, as likelihoods of images are."""

    def by_place(self, x: Tensor) -> Tensor:
        """Return what each pixel of images (n, c, h, w) adds to each logit, of shape (n, C, h, w)."""


def heat_maps(module: nn.Module, images: Tensor, codes: Tensor) -> Tensor:
    """Return which places of each image speak for a class, at the size of the image.

    Of a network that is ``PlaceByPlace``, what each place says for the class against the likeliest other; of any other,
    Grad-CAM at its last convolution.

    Parameters
    ----------
    module : nn.Module
        Maps images to logits; left as it was.
    images : Tensor of shape (n, c, h, w)
    codes : Tensor of shape (n,), integer
        The class of each.

    Returns
    -------
    Tensor of shape (n, h, w)
        From 0 to 1, the largest value of each map; all 0 where nothing speaks for the class.

    Raises
    ------
    LongwayError
        The network is neither ``PlaceByPlace`` nor has it a convolution.
    """
    was_training = module.training
    module.eval()
    try:
        maps = _advantage(module, images, codes) if isinstance(module, PlaceByPlace) else _cam(module, images, codes)
    finally:
        module.train(was_training)
    maps = interpolate(maps.unsqueeze(1), images.shape[2:], mode="bilinear", align_corners=False).squeeze(1)
    highest = maps.amax((1, 2), keepdim=True)
    return maps / highest.where(highest > 0, 1.0)


def _cam(module: nn.Module, images: Tensor, codes: Tensor) -> Tensor:
    """Return Grad-CAM's maps (n, i, j) at the last convolution."""
    with torch.enable_grad(), captured(last_convolution(module)) as found:
        # The images get a gradient so that maps have one in a network whose weights are frozen
        logits = module(images.detach().requires_grad_())
        activations = found[-1]
        chosen = logits.gather(1, codes.to(logits.device).unsqueeze(1)).sum()
        (gradients,) = torch.autograd.grad(chosen, activations)
    return grad_cam(activations.detach(), gradients)


@torch.no_grad()
def _advantage(module: PlaceByPlace, images: Tensor, codes: Tensor) -> Tensor:
    """Return by how much each place speaks for a class rather than for its rival, of shape (n, h, w), 0 or more."""
    said = module.by_place(images)
    rows, codes = torch.arange(len(said)), codes.to(said.device)
    totals = said.sum((2, 3))
    totals[rows, codes] = -torch.inf
    return (said[rows, codes] - said[rows, totals.argmax(1)]).relu()


def can_be_seen(module: nn.Module) -> None:
    """Refuse a network that ``heat_maps`` has no way to look into.

    Raises
    ------
    LongwayError
    """
    if not isinstance(module, PlaceByPlace):
        last_convolution(module)


def last_convolution(module: nn.Module) -> nn.Module:
    """Return the last convolution of a network, or the ReLU right behind it: what it gives is what Grad-CAM looks at.

    Raises
    ------
    LongwayError
        There is none.
    """
    leaves = [each for each in module.modules() if not list(each.children())]
    places = [place for place, each in enumerate(leaves) if isinstance(each, nn.Conv2d)]
    if not places:
        raise LongwayError(f"{type(module).__name__} has no convolution: Grad-CAM needs a network on images")
    behind = leaves[places[-1] + 1 :][:1]
    return behind[0] if behind and isinstance(behind[0], nn.ReLU) else leaves[places[-1]]


@contextmanager
def captured(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what a layer gives while the body runs; nothing stays attached to it."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(output)

    handle = layer.register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()
