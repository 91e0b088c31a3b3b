import numpy as np
import pytest
import torch

from longway import ChromaVAE, GenerativeClassifier, LongwayError
from longway.datasets import make_planted_shortcut
from longway.methods.generative_classifier import ClassVAEs, ClassVAEsObjective
from longway.nn.vae import VAE

DATA = make_planted_shortcut(400, correlation=0.95, n_features=6, seed=100)


def test_z1_holds_the_shortcut():
    fitted = ChromaVAE(latent_dim=4, shortcut_dim=1, epochs=40).fit(DATA.X, DATA.y)
    corr = np.abs([np.corrcoef(axis, DATA.shortcut)[0, 1] for axis in fitted.latents(DATA.X).T])
    assert corr[0] > 0.9
    assert corr.argmax() == 0


@pytest.mark.parametrize("classifier", ["knn", "mlp", "linear"])
def test_prediction_does_not_look_at_z1(classifier):
    fitted = ChromaVAE(classifier=classifier, latent_dim=4, epochs=2).fit(DATA.X, DATA.y)
    before = fitted.predict_proba(DATA.X)
    with torch.no_grad():
        fitted.module_.vae.mean.weight[:2] += 1
    np.testing.assert_array_equal(fitted.predict_proba(DATA.X), before)


def test_only_an_mlp_has_a_history_and_a_selection_of_its_own():
    mlp, knn = (ChromaVAE(classifier=name, epochs=3).fit(DATA.X, DATA.y) for name in ("mlp", "knn"))
    assert len(mlp.head_history_) == len(mlp.history_) == 3
    assert mlp.selection_["rule"] == "worst_class"
    assert knn.selection_ == {}
    assert not hasattr(knn, "head_history_")


def test_an_axis_must_be_left_to_classify_by():
    with pytest.raises(LongwayError, match="shortcut_dim=4 leaves no axis of latent_dim=4 to classify by: lower"):
        ChromaVAE(latent_dim=4, shortcut_dim=4).fit(DATA.X, DATA.y)


def test_each_class_trains_its_own_vae_and_no_other():
    torch.manual_seed(0)
    network = ClassVAEs([VAE((3,), 2) for _ in range(3)], torch.randn(2, 2), importance=False)
    objective = ClassVAEsObjective(network, 1.0)
    objective(torch.randn(8, 3), torch.tensor([0, 0, 0, 0, 2, 2, 2, 2]), torch.ones(8))["loss"].backward()
    trained = [vae.mean.weight.grad is not None for vae in network.vaes]
    assert trained == [True, False, True]
    assert network.noise[1] == 1
    assert (network.noise[[0, 2]] != 1).all()


@pytest.mark.parametrize("bound", ["elbo", "importance"])
def test_the_prior_counts(bound):
    """Without any information in X, the frequent class is the likelier."""
    X, y = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 10 == 0
    fitted = GenerativeClassifier(bound=bound, epochs=2, selection="average").fit(X, y)
    prior = fitted.module_.log_prior.exp().numpy()
    np.testing.assert_allclose(prior, [0.9, 0.1], atol=0.02)
    assert fitted.predict_proba(X)[:, 1].mean() < 0.5
