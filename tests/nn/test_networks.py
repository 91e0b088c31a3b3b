import pytest
import torch

from longway.linear.feature_head import FeatureHead, Standardize
from longway.linear.head import LinearHead
from longway.nn.convnet import ConvNet
from longway.nn.vae import VAE


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (3, 8, 8), (2, 14, 17), (3, 5, 33), (3, 64, 32), (12,)])
def test_vae_rebuilds_the_shape_of_its_input(shape):
    x = torch.rand(3, *shape)
    mean, log_variance, latent, output = VAE(shape, 4)(x)
    assert mean.shape == log_variance.shape == latent.shape == (3, 4)
    assert output.shape == x.shape


def test_vae_on_64_pixels_is_the_papers():
    vae = VAE((3, 64, 64), 10)
    convolutions = [layer for layer in vae.body if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 32, 64, 128]
    assert {(layer.kernel_size, layer.stride, layer.padding) for layer in convolutions} == {((4, 4), (2, 2), (1, 1))}
    assert vae.mean.in_features == 2048


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (3, 8, 8), (2, 4, 9), (3, 64, 32)])
def test_convnet_takes_any_size(shape):
    network = ConvNet(shape, 5)
    x = torch.rand(2, *shape)
    assert network(x).shape == (2, 5)
    assert network.features(x).shape == (2, 128)


def test_feature_head_is_what_was_set():
    head = LinearHead(torch.randn(3, 4), torch.randn(3))
    network = FeatureHead(4, 3)
    network.set_linear(head)
    network.standardize.set(torch.full((4,), 2.0), torch.full((4,), 0.5))
    x = torch.randn(6, 4)
    torch.testing.assert_close(network(x), head.logits((x - 2) / 0.5))


def test_standardize_undoes_itself():
    module = Standardize(3)
    module.set(torch.tensor([1.0, 2, 3]), torch.tensor([0.5, 1, 2]))
    x = torch.randn(4, 3)
    torch.testing.assert_close(module.undo(module(x)), x)
