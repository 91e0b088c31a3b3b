"""Check Grad-CAM of our networks against a computation that takes them apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from longway import DiffusionClassifier, GenerativeClassifier
from longway.explaining.saliency import captured, heat_maps, last_convolution
from longway.functional.gradcam import grad_cam
from longway.functional.vae import kl_by_sample
from longway.linear.feature_head import FeatureHead
from longway.methods.generative_classifier import ClassVAEs
from longway.methods.sitar.estimator import SitarNet
from longway.nn.convnet import ConvNet
from longway.utils.errors import LongwayError

SHAPE = (3, 16, 16)


def networks():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {"ConvNet": ConvNet(SHAPE, 3, width=4), "SITAR": SitarNet(SHAPE, 3, 5, (4, 8))}


def taken_apart(name, network, images, codes):
    """Run the network up to its last ReLU behind a convolution, and the rest by hand."""
    body = network.body if name == "ConvNet" else network.vae.body
    layers = list(body)
    last = max(place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d))
    activations = nn.Sequential(*layers[: last + 2])(images).detach().requires_grad_()
    rest = nn.Sequential(*layers[last + 2 :])(activations)
    if name == "ConvNet":
        logits = network.linear(network.dropout(rest.relu()))
    else:
        logits = network.classifier(network.vae.mean(rest))
    logits[range(len(codes)), codes].sum().backward()
    maps = interpolate(
        grad_cam(activations.detach(), activations.grad)[:, None], SHAPE[1:], mode="bilinear", align_corners=False
    )[:, 0]
    highest = maps.amax((1, 2), keepdim=True)
    return maps / highest.where(highest > 0, 1.0)


def hooks(network):
    return [hook for module in network.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]


@pytest.mark.parametrize("name", ["ConvNet", "SITAR"])
def test_it_equals_the_network_taken_apart(name):
    network = networks()[name].eval()
    images = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(1))
    codes = torch.tensor([0, 1, 2, 1])
    found = heat_maps(network, images, codes)
    assert found.shape == (4, 16, 16)
    assert found.max() == 1
    assert found.min() >= 0
    assert torch.allclose(found, taken_apart(name, network, images, codes), atol=1e-6)


@pytest.mark.parametrize("name", ["ConvNet", "SITAR"])
def test_it_leaves_nothing_behind(name):
    network = networks()[name].train()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    images = torch.rand(2, *SHAPE)
    with torch.inference_mode(False), torch.no_grad():
        maps = heat_maps(network, images, torch.tensor([0, 1]))
    assert not maps.requires_grad
    assert network.training
    assert hooks(network) == []
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not images.requires_grad


def test_hooks_go_where_the_network_fails():
    network = networks()["ConvNet"]
    with pytest.raises(RuntimeError):
        heat_maps(network, torch.rand(2, 5, 16, 16), torch.tensor([0, 1]))
    assert hooks(network) == []
    layer = nn.ReLU()
    with pytest.raises(KeyError), captured(layer):
        raise KeyError
    assert not layer._forward_hooks


def test_it_finds_the_place_that_speaks():
    class Corner(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.ones_(self.conv.weight)

        def forward(self, x):
            seen = self.conv(x).mean((1, 2, 3))
            return torch.stack([-seen, seen], 1)

    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 6, 1] = 1
    heat = heat_maps(Corner(), image, torch.tensor([1]))[0]
    assert np.unravel_index(heat.argmax(), heat.shape) == (6, 1)
    assert heat_maps(Corner(), image, torch.tensor([0])).abs().max() == 0


@pytest.mark.parametrize("build", [DiffusionClassifier(n_draws=2, width=8)._build, GenerativeClassifier()._build])
def test_a_likelihood_is_looked_at_place_by_place(build):
    network = build(SHAPE, 3).eval()
    images = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(1))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    said = network.by_place(images).detach()
    logits, totals = network(images).detach(), said.sum((2, 3))
    if isinstance(network, ClassVAEs):
        totals = totals - torch.stack([kl_by_sample(*vae.encode(images)) for vae in network.vaes], 1).detach()
    torch.testing.assert_close(logits - logits.mean(1, True), totals - totals.mean(1, True), atol=1e-3, rtol=1e-4)
    best, rival = said.sum((2, 3)).topk(2).indices.T
    rows = torch.arange(3)
    expected = (said[rows, best] - said[rows, rival]).relu()
    found = heat_maps(network, images, best)
    torch.testing.assert_close(found, expected / expected.amax((1, 2), keepdim=True))
    against = (said[rows, rival] - said[rows, best]).relu()
    torch.testing.assert_close(heat_maps(network, images, rival), against / against.amax((1, 2), keepdim=True))


def test_the_decoder_of_a_vae_is_not_looked_at():
    network = networks()["SITAR"]
    assert any(last_convolution(network) is layer for layer in network.vae.body)


def test_a_network_without_convolutions_is_refused():
    with pytest.raises(LongwayError, match="FeatureHead has no convolution: Grad-CAM needs a network on images"):
        heat_maps(FeatureHead(4, 2), torch.rand(2, 4), torch.tensor([0, 1]))
