import torch

from longway.linear._whitening import shrunk_whitening


def test_whitened_features_are_uncorrelated_but_for_the_shrinkage():
    torch.manual_seed(0)
    z = torch.randn(5000, 4, dtype=torch.float64) @ torch.randn(4, 4, dtype=torch.float64)
    z = (z - z.mean(0)) / z.std(0, correction=0)
    C = z.T @ z / len(z)
    to, back = shrunk_whitening(C, 1e-6)
    whitened = (z @ to).T @ (z @ to) / len(z)
    torch.testing.assert_close(whitened, torch.eye(4, dtype=torch.float64), atol=1e-3, rtol=0)
    torch.testing.assert_close(to @ back, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(shrunk_whitening(C).to, shrunk_whitening(C).to.T)


def test_uncorrelated_features_are_only_scaled():
    to, back = shrunk_whitening(torch.eye(3))
    torch.testing.assert_close(to, torch.eye(3) / 2**0.5)
    torch.testing.assert_close(back, torch.eye(3) * 2**0.5)
