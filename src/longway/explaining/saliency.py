"""Compute saliency maps: Grad-CAM at the last convolution, or a likelihood's own contributions of pixels."""

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
    """A network whose logits are sums over pixels, plus a term without a place, such as a likelihood of images."""

    def by_place(self, x: Tensor) -> Tensor:
        """Return the contribution of each pixel of images (n, c, h, w) to each logit, of shape (n, C, h, w)."""


def heat_maps(module: nn.Module, images: Tensor, codes: Tensor) -> Tensor:
    """Return a map of the evidence for a class in each image, at the size of the image.

    For a network that is ``PlaceByPlace``, the evidence of each pixel for the class against the likeliest other class;
    for any other, Grad-CAM at its last convolution.

    Parameters
    ----------
    module : nn.Module
        Maps images to logits; not changed.
    images : Tensor of shape (n, c, h, w)
    codes : Tensor of shape (n,), integer
        The class of each.

    Returns
    -------
    Tensor of shape (n, h, w)
        From 0 to 1, which is the largest value of each map; all 0 if nothing is evidence for the class.

    Raises
    ------
    LongwayError
        The network is not ``PlaceByPlace`` and has no convolution.
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
        # Images that require a gradient give the maps one even if all weights are frozen.
        logits = module(images.detach().requires_grad_())
        activations = found[-1]
        chosen = logits.gather(1, codes.to(logits.device).unsqueeze(1)).sum()
        (gradients,) = torch.autograd.grad(chosen, activations)
    return grad_cam(activations.detach(), gradients)


@torch.no_grad()
def _advantage(module: PlaceByPlace, images: Tensor, codes: Tensor) -> Tensor:
    """Return the evidence of each pixel for a class against its likeliest rival, of shape (n, h, w), 0 or more."""
    evidence = module.by_place(images)
    rows, codes = torch.arange(len(evidence)), codes.to(evidence.device)
    totals = evidence.sum((2, 3))
    totals[rows, codes] = -torch.inf
    return (evidence[rows, codes] - evidence[rows, totals.argmax(1)]).relu()


def check_visible(module: nn.Module) -> None:
    """Raise LongwayError if ``heat_maps`` cannot explain a network."""
    if not isinstance(module, PlaceByPlace):
        last_convolution(module)


def last_convolution(module: nn.Module) -> nn.Module:
    """Return the last convolution of a network, or the ReLU right after it; Grad-CAM uses its output.

    Raises
    ------
    LongwayError
        There is none.
    """
    leaves = [each for each in module.modules() if not list(each.children())]
    places = [place for place, each in enumerate(leaves) if isinstance(each, nn.Conv2d)]
    if not places:
        raise LongwayError(f"{type(module).__name__} has no convolution: Grad-CAM needs a network on images")
    after = leaves[places[-1] + 1 :][:1]
    return after[0] if after and isinstance(after[0], nn.ReLU) else leaves[places[-1]]


@contextmanager
def captured(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the outputs of a layer while the body runs, with a hook that is removed afterwards."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(output)

    handle = layer.register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()
