import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from torch.nn.functional import cross_entropy

from longway import ERM, SITAR, LongwayError
from longway.data.samples import Samples
from longway.datasets import make_coloured_digits, make_planted_shortcut
from longway.groups import shortcut_axes
from longway.groups.axes import NO_GAPS
from longway.groups.evidence import find_shortcut_evidence
from longway.methods.sitar.estimator import ScaleFreeObjective, SitarNet, SitarObjective
from longway.nn.vae import scaled_beta, summed_variance

IRIS, SPECIES = load_iris(return_X_y=True)
SMALL = {"channels": (16, 32), "batch_size": 64, "first_epochs": 30, "epochs": 30}

SETTINGS = {
    "cmnist": (10, 1.0, 2.0, 10.0),
    "celeba": (10, 0.1, 2.0, 10.0),
    "waterbirds": (32, 0.01, 2.0, 10.0),
    "camelyon17": (10, 0.1, 2.0, 50.0),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_published_settings(name):
    p = SITAR.from_paper(name).get_params()
    assert tuple(p[key] for key in ("latent_dim", "noise_scale", "beta", "consistency_weight")) == SETTINGS[name]
    assert (p["variant"], p["epochs"], p["selection"]) == ("paper", 100, "balanced")


def test_published_architecture():
    network = SitarNet((3, 64, 64), 2, 10, SITAR().channels)
    assert [layer.out_features for layer in network.classifier if isinstance(layer, torch.nn.Linear)] == [128, 2]
    two_layers = SitarNet((3, 28, 28), 2, 10, SITAR.from_paper("cmnist").channels)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in two_layers.vae.body) == 2
    published = SITAR.from_paper("celeba")._build((3, 64, 64), 2)
    for head in (published.vae.mean, published.vae.log_variance):  # MLPs
        assert [layer.out_features for layer in head if isinstance(layer, torch.nn.Linear)] == [128, 10]


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


def test_the_paper_variant_is_trained_on_the_data_as_they_are():
    method = SITAR.from_paper("celeba", epochs=2).fit(IRIS, SPECIES)
    assert method.group_inference_ == {}
    assert method.selection_["rule"] == "balanced"


def contradicted(X, y, **options):
    return find_shortcut_evidence(
        Samples(X, y, np.ones(len(y))), 2, seed=0, **{"latent_dim": 4, "epochs": 1, **options}
    )


def test_scale_free_loss_is_its_formula():
    data = make_planted_shortcut(200, correlation=1.0, n_features=6)
    torch.manual_seed(0)
    known = contradicted(data.X.astype(np.float32), data.y)
    assert known.debias_mode == "noise"
    network = SitarNet((6,), 2, 4, ())
    network.vae = known.axes.vae
    objective = ScaleFreeObjective(network, 0.7, 3.0, 2.0, known, class_balanced=False)
    x, y = torch.from_numpy(data.X[:64]).float(), torch.from_numpy(data.y[:64])
    torch.manual_seed(1)
    terms = objective(x, y, torch.ones(64), torch.zeros(64, dtype=torch.int64))

    torch.manual_seed(1)
    mu, log_variance = network.vae.encode(x)
    z = mu + (log_variance / 2).exp() * torch.randn_like(mu)
    batch = torch.stack([torch.corrcoef(torch.stack([axis, y.float()]))[0, 1].abs() for axis in mu.detach().T])
    v = 0.9 * torch.from_numpy(known.axes.scores).float() + 0.1 * batch
    z_bar = z + 0.7 * v * mu.detach().std(0, correction=0) * torch.randn_like(z)
    p, q = network.classifier(z).softmax(1), network.classifier(z_bar).softmax(1)
    kl = [(a * (a / ((p + q) / 2)).log()).sum(1).mean() for a in (p, q)]
    vae = ((network.vae.standardize(x) - network.vae.decoder(z)) ** 2).sum(1).mean()
    vae = vae + 2 * 0.5 * (mu**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    expected = vae + cross_entropy(network.classifier(z_bar), y) + 3 * (kl[0] + kl[1]) / 2
    torch.testing.assert_close(terms["loss"], expected)


@pytest.mark.parametrize("gaps", [True, False])
def test_groups_count_the_same_only_where_gaps_set_them_apart(gaps):
    generator = np.random.default_rng(0)
    y = (np.arange(600) < 200).astype(np.int64)
    value = np.where(generator.random(600) < 0.8, y, 1 - y)
    width = 0.1 if gaps else 0.6
    X = (value + width * generator.standard_normal(600))[:, None] + 0.1 * generator.standard_normal((600, 6))
    known = contradicted(X.astype(np.float32), y, latent_dim=1, epochs=20)
    assert known.axes.is_reliable
    assert known.axes.caveats == (() if gaps else (NO_GAPS,))
    assert known.summary()["gaps"] == gaps
    assert known.summary()["caveats"] == ([] if gaps else [NO_GAPS])
    assert known.debias_mode == ("groups" if gaps else "noise")
    weight = np.bincount(known.axes.groups if gaps else y, known.rows.weight)
    np.testing.assert_allclose(weight, weight[0])


def test_beta_follows_the_variance_of_images_and_not_of_features():
    generator = np.random.default_rng(0)
    X = generator.random((50, 3, 8, 8))
    large, small, features = (
        Samples(x, np.zeros(50), np.ones(50)) for x in (np.repeat(X, 2, 3).repeat(2, 2), X, X[:, 0, 0])
    )
    assert summed_variance(small) == pytest.approx(X.reshape(50, -1).var(0).sum())
    assert scaled_beta(2.0, large) == pytest.approx(4 * scaled_beta(2.0, small))
    assert scaled_beta(2.0, features) == 2.0


def test_a_batch_of_one_class_leaves_the_scores_as_they_are():
    data = make_planted_shortcut(200, correlation=1.0, n_features=6)
    known = contradicted(data.X.astype(np.float32), data.y)
    network = SitarNet((6,), 2, 4, ())
    objective = ScaleFreeObjective(network, 0.7, 3.0, 2.0, known, class_balanced=True)
    before = objective.scores.clone()
    x = torch.from_numpy(data.X[:9]).float()
    attribute = torch.zeros(9, dtype=torch.int64)
    assert objective(x, torch.ones(9, dtype=torch.int64), torch.ones(9), attribute)["loss"].isfinite()
    torch.testing.assert_close(objective.scores, before)
    # Constant inputs make constant axes: no spread, so no noise, and no score
    constant = torch.zeros(8, 6)
    terms = objective(constant, torch.arange(8) % 2, torch.ones(8), attribute[:8])
    assert terms["loss"].isfinite()
    torch.testing.assert_close(objective.scores, 0.9 * before)


def right(method, data):
    return (method.predict(data.X) == data.y).mean()


def test_images_without_one_that_contradicts_the_colour():
    digits = make_coloured_digits(train_correlation=1.0, copies=2)
    train, val = digits["train"], digits["val"]
    erm = ERM(epochs=5).fit(train.X, train.y, eval_set=(val.X, val.y))
    method = SITAR(**SMALL).fit(train.X, train.y, eval_set=(val.X, val.y))
    assert method.group_inference_["debias_mode"] == "recolouring"
    assert method.selection_["rule"] == "balanced"
    assert method.supervision_ == "none"
    assert right(method, digits["val_balanced"]) - right(erm, digits["val_balanced"]) > 0.2
    again = clone(method).fit(train.X, train.y, eval_set=(val.X, val.y))
    np.testing.assert_array_equal(again.predict_proba(val.X), method.predict_proba(val.X))


def test_without_anything_sure_the_worst_class_chooses_the_epoch():
    data = make_planted_shortcut(200, correlation=1.0, n_features=6)
    method = SITAR(epochs=2, first_epochs=1).fit(data.X, data.y)
    assert method.group_inference_["debias_mode"] == "noise"
    assert method.selection_["rule"] == "worst_class"


def test_a_collapsed_posterior_is_said():
    with pytest.warns(UserWarning, match=r"the posterior has collapsed: [01] of 10 .* beta=1000 is too high"):
        SITAR(variant="paper", beta=1000, epochs=8).fit(IRIS, SPECIES)
    found = shortcut_axes(Samples(IRIS, SPECIES, np.ones(150)), 3, seed=0, beta=1000.0, epochs=20)
    assert any("uses none of its axes: beta=1000 is too high" in doubt for doubt in found.caveats)


@pytest.mark.parametrize("variant", ["paper", "scale_free"])
def test_a_loss_that_is_not_a_number_is_said(variant):
    with pytest.raises(LongwayError, match=r"the loss became (nan|inf) in epoch \d+: lower learning_rate"):
        SITAR(variant=variant, learning_rate=1e12, epochs=20, first_epochs=20).fit(IRIS, SPECIES)
