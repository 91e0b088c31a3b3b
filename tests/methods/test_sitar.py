import pytest
import torch
from torch.nn.functional import cross_entropy

from longway import SITAR
from longway.methods.sitar import SitarNet, SitarObjective

SETTINGS = {
    "cmnist": (10, 1.0, 2.0, 10.0),
    "celeba": (10, 0.1, 2.0, 10.0),
    "waterbirds": (32, 0.01, 2.0, 10.0),
    "camelyon17": (10, 0.1, 2.0, 50.0),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_published_settings(name):
    p = SITAR.from_paper(name).get_params()
    assert tuple(p[key] for key in ("latent_dim", "noise", "beta", "consistency")) == SETTINGS[name]


def test_published_architecture():
    network = SitarNet((3, 64, 64), 2, 10, SITAR().channels)
    assert [layer.out_features for layer in network.classifier if isinstance(layer, torch.nn.Linear)] == [128, 2]
    two_layers = SitarNet((3, 28, 28), 2, 10, SITAR.from_paper("cmnist").channels)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in two_layers.vae.body) == 2


def test_loss_is_the_printed_formula():
    torch.manual_seed(0)
    network = SitarNet((1, 8, 8), 2, 4, (8,))
    x, y, alpha, beta, lam = torch.rand(32, 1, 8, 8), torch.arange(32) % 2, 0.7, 2.0, 10.0
    torch.manual_seed(1)
    terms = SitarObjective(network, alpha, beta, lam, "sum", class_balanced=False)(x, y, torch.ones(32))

    torch.manual_seed(1)
    mu, log_variance = network.vae.encode(x)
    z = mu + (log_variance / 2).exp() * torch.randn_like(mu)
    v = torch.stack([torch.corrcoef(torch.stack([axis, y.float()]))[0, 1].abs() for axis in mu.detach().T])
    z_bar = z + alpha * v * torch.randn_like(z)
    f = network.classifier
    kl = 0.5 * (mu**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    reconstruction = ((x - network.vae.decoder(z)) ** 2).sum((1, 2, 3)).mean()
    agreement = ((f(z) - f(z_bar)) ** 2).sum(1).mean()
    torch.testing.assert_close(terms["loss"], reconstruction + beta * kl + cross_entropy(f(z_bar), y) + lam * agreement)


def test_encoder_gets_the_gradients_of_all_terms():
    network = SitarNet((1, 8, 8), 2, 4, (8,))
    x, y = torch.rand(32, 1, 8, 8), torch.arange(32) % 2
    for name in ("reconstruction", "kl", "cross_entropy", "consistency"):
        network.zero_grad()
        SitarObjective(network, 0.7, 2.0, 10.0, "sum", class_balanced=True)(x, y, torch.ones(32))[name].backward()
        assert network.vae.mean.weight.grad.abs().max() > 0, name


def test_predicts_from_posterior_means_without_noise():
    network = SitarNet((1, 8, 8), 2, 4, (8,))
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(network(x), network.classifier(network.vae.encode(x)[0]))
