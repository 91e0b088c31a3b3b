import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from longway.functional.gradcam import grad_cam


def by_loops(activations, gradients):
    n, k, h, w = activations.shape
    maps = np.zeros((n, h, w))
    for i in range(n):
        for channel in range(k):
            weight = sum(gradients[i, channel, a, b] for a in range(h) for b in range(w)) / (h * w)
            maps[i] += weight * activations[i, channel]
    return np.maximum(maps, 0)


@given(st.tuples(*[st.integers(1, 4)] * 4), st.integers(0, 2**31))
def test_it_equals_its_loop(shape, seed):
    generator = np.random.default_rng(seed)
    activations, gradients = generator.normal(size=(2, *shape))
    found = grad_cam(torch.from_numpy(activations), torch.from_numpy(gradients))
    assert found.dtype == torch.float64
    assert np.allclose(found.numpy(), by_loops(activations, gradients))


def test_half_precision_stays():
    maps = torch.rand(2, 3, 4, 5, dtype=torch.float16)
    assert grad_cam(maps, maps).dtype == torch.float16
    assert grad_cam(maps, maps).shape == (2, 4, 5)
