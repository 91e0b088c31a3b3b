import numpy as np
import pytest
import torch
from battery import small_images
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from longway import ERM, GCCS, FreezeThenTrain, RepSpectral, SemanticAnchor
from longway.data.samples import Samples
from longway.datasets import make_planted_shortcut
from longway.linear.feature_head import FeatureHead
from longway.methods.freeze_then_train import FrozenBeside
from longway.methods.gccs import GCCSObjective
from longway.methods.rep_spectral import LayerSpectra
from longway.methods.semantic_anchor import AnchorObjective
from longway.nn.convnet import ConvNet

DATA = make_planted_shortcut(400, correlation=0.9, n_features=6, seed=100)
ROWS = Samples(DATA.X, DATA.y, np.ones(400))


def test_frozen_features_are_the_principal_components():
    network = FrozenBeside((6,), 2, 0.5, (8,))
    share = network.freeze(ROWS)
    reference = PCA(3).fit(StandardScaler().fit_transform(DATA.X))
    theirs = reference.transform(StandardScaler().fit_transform(DATA.X))
    ours = network.features(torch.from_numpy(DATA.X).float())[:, :3].detach().numpy()
    correlation = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(ours.T, theirs.T, strict=True)]
    np.testing.assert_allclose(correlation, 1, atol=1e-4)
    assert share == pytest.approx(reference.explained_variance_ratio_.sum(), abs=1e-6)
    assert ours.var(0).mean() == pytest.approx(1, abs=1e-4)


def test_the_frozen_part_stays_as_it_is_while_the_rest_is_trained():
    X, y, _ = small_images()
    fitted = FreezeThenTrain(epochs=1).fit(X, y)
    network = fitted.module_
    assert network.components.shape == (128, 64)
    assert network.linear.in_features == 128
    assert not any(p.requires_grad for p in network.base.parameters())
    network.train()
    assert network.trained.training
    assert not network.base.training
    moved = zip(network.base[0].parameters(), network.trained.body.parameters(), strict=True)
    assert all(not torch.equal(frozen, trained) for frozen, trained in moved)


def test_the_last_layer_is_fitted_again():
    fitted = FreezeThenTrain(epochs=1, l2s=(0.1, 1.0)).fit(DATA.X, DATA.y, eval_set=(DATA.X, DATA.y, DATA.groups))
    assert fitted.retrained_on_ == "eval_set"
    assert fitted.selection_["setting"]["l2"] in (0.1, 1.0)
    assert fitted.selection_["rule"] == "worst_group"
    assert fitted.score(DATA.X, DATA.y) > 0.8  # one epoch of steps alone would not do


def test_singular_values_are_those_of_the_layers():
    torch.manual_seed(0)
    body = ConvNet((3, 10, 10), 2).body
    spectra = LayerSpectra(body, (3, 10, 10))
    values = spectra(steps=300)
    assert spectra.shapes[:2] == [(3, 10, 10), (32, 10, 10)]
    assert len(values) == len(spectra.layers)
    torch.testing.assert_close(values[-1], torch.linalg.matrix_norm(body[-1].weight, ord=2), rtol=1e-2, atol=0)


def test_the_spectral_penalty_lowers_the_singular_values_after_the_burn_in():
    free, held = (
        RepSpectral(penalty=penalty, burn_in=0.1, epochs=10, batch_size=16).fit(DATA.X, DATA.y)
        for penalty in (0.0, 1.0)
    )
    assert held.singular_values_.max() < 0.8 * free.singular_values_.max()
    assert [record["stretch"] > 0 for record in held.history_] == [False] + [True] * 9


def test_without_a_feature_map_the_spectral_penalty_is_nothing():
    ours, erm = RepSpectral(hidden=()).fit(DATA.X, DATA.y), ERM().fit(DATA.X, DATA.y)
    np.testing.assert_array_equal(ours.predict_proba(DATA.X), erm.predict_proba(DATA.X))


def test_outputs_come_to_their_targets():
    fitted = GCCS(epochs=60, batch_size=64).fit(DATA.X, DATA.y)
    with torch.no_grad():
        outputs = fitted.module_(torch.from_numpy(DATA.X).float()) / 5
    means = torch.stack([outputs[DATA.y == c].mean(0) for c in range(2)])
    torch.testing.assert_close(means, 5 * torch.eye(2), atol=1.0, rtol=0)


def test_the_softmax_of_logits_is_the_probability_under_the_targets():
    torch.manual_seed(0)
    outputs = torch.randn(6, 3, dtype=torch.float64)
    log_densities = -0.5 * (outputs.unsqueeze(1) - 5 * torch.eye(3, dtype=torch.float64)).square().sum(2)
    torch.testing.assert_close((5 * outputs).softmax(1), log_densities.softmax(1))


def test_a_class_that_a_batch_lacks_counts_for_nothing():
    torch.manual_seed(0)
    network, x, y = FeatureHead(4, 3), torch.randn(10, 4), torch.arange(10) % 2
    three = GCCSObjective(network, 3, 5.0, False)
    loss = three(x, y, torch.ones(10))["loss"]
    weighted = three(torch.cat([x, x[:1]]), torch.cat([y, torch.tensor([2])]), torch.tensor([1.0] * 10 + [0.0]))
    torch.testing.assert_close(loss, weighted["loss"])


def test_anchors_move_only_where_all_are_told_apart():
    torch.manual_seed(0)
    network = FeatureHead(4, 2, (8,))
    objective = AnchorObjective(network, 1.0, 0.8, 0.9)
    anchors, sure, unsure = torch.randn(2, 8), torch.tensor([[9.0, 0], [0, 9]]), torch.tensor([[9.0, 0], [1, 0]])
    objective._move(anchors, unsure)
    assert not objective.started
    assert not objective.running.any()
    objective._move(anchors, sure)
    torch.testing.assert_close(objective.running, anchors)
    objective._move(2 * anchors, sure)
    torch.testing.assert_close(objective.running, 1.1 * anchors)
    objective._move(5 * anchors, unsure)
    torch.testing.assert_close(objective.running, 1.1 * anchors)


def test_features_are_pulled_to_the_anchor_of_their_class():
    def distance(pull):
        fitted = SemanticAnchor(pull=pull, epochs=20, batch_size=32, hidden=(16,)).fit(DATA.X, DATA.y)
        assert fitted.anchors_.any()
        return np.square(fitted.features(DATA.X) - fitted.anchors_[DATA.y]).mean()

    assert distance(10.0) < 0.7 * distance(0.0)


def test_the_burn_in_may_end_within_an_epoch():
    method = RepSpectral(burn_in=0.75, epochs=2, batch_size=32).fit(*load_iris(return_X_y=True))
    assert method.history_[0]["stretch"] == 0 < method.history_[1]["stretch"]
