import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from longway.linear._logistic import logistic_regression


def chunked(X, y, weights, size):
    X, y, weights = (torch.from_numpy(np.asarray(a)) for a in (X, y, weights / weights.sum()))
    return lambda: ((X[i : i + size], y[i : i + size], weights[i : i + size]) for i in range(0, len(y), size))


@pytest.mark.parametrize("loader", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("size", [50, 10_000])
def test_equals_scikit_learn(loader, size):
    X, y = loader(return_X_y=True)
    X, weights = StandardScaler().fit_transform(X), np.random.default_rng(0).uniform(0.1, 2, len(y))
    l2 = 0.01
    head = logistic_regression(chunked(X, y, weights, size), X.shape[1], y.max() + 1, l2=l2, tolerance=1e-9)
    # The softmax with two classes has twice the weight vector's freedom, so its ridge counts half.
    C = 1 / (l2 * weights.sum()) * (2 if y.max() == 1 else 1)
    reference = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y, sample_weight=weights)
    probabilities = head.logits(torch.from_numpy(X)).softmax(1).numpy()
    np.testing.assert_allclose(probabilities, reference.predict_proba(X), atol=1e-5)


def test_anisotropic_ridge_silences_one_feature():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    l2 = torch.full((X.shape[1],), 1e-3)
    l2[3] = 1e6
    head = logistic_regression(chunked(X, y, np.ones(len(y)), 100), X.shape[1], 2, l2=l2)
    assert head.weight[:, 3].abs().max() < 1e-6 < head.weight[:, 4].abs().max()


def test_a_start_at_the_optimum_stays_there():
    X, y = load_wine(return_X_y=True)
    chunks = chunked(StandardScaler().fit_transform(X), y, np.ones(len(y)), 64)
    first = logistic_regression(chunks, X.shape[1], 3, l2=0.1, tolerance=1e-9)
    again = logistic_regression(chunks, X.shape[1], 3, l2=0.1, tolerance=1e-6, start=first)
    torch.testing.assert_close(first.weight, again.weight)
