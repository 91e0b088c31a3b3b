import pytest
import torch
from torch import nn

from longway.functional.spectral import layer_maps, top_singular_value

CONVOLUTIONS = [
    ({"kernel_size": 3, "padding": 1}, (2, 5, 6)),
    ({"kernel_size": 3, "stride": 2, "padding": 1}, (2, 6, 6)),
    ({"kernel_size": 3, "stride": 2, "padding": 1}, (2, 7, 6)),
    ({"kernel_size": 4, "stride": 2, "padding": 1}, (2, 8, 8)),
    ({"kernel_size": 3, "stride": 3, "padding": 0, "dilation": 2}, (2, 9, 11)),
    ({"kernel_size": (1, 3), "stride": (2, 1), "padding": (0, 2), "groups": 2}, (2, 5, 4)),
]
LAYERS = [(nn.Linear(7, 4), (7,)), *((nn.Conv2d(2, 4, **options), shape) for options, shape in CONVOLUTIONS)]


def dense(forward, shape):
    """Write a linear map as a matrix, column by column."""
    columns = torch.eye(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.stack([forward(column.reshape(shape)).flatten() for column in columns], 1)


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_the_largest_singular_value_and_its_gradient_are_those_of_the_matrix(layer, shape):
    torch.manual_seed(0)
    layer = layer.double()
    nn.init.normal_(layer.weight)
    forward, adjoint = layer_maps(layer, shape)
    matrix = dense(forward, shape)
    torch.testing.assert_close(dense(adjoint, forward(torch.zeros(shape, dtype=torch.float64)).shape), matrix.T)
    exact = torch.linalg.matrix_norm(matrix, ord=2)
    value, vector = top_singular_value(forward, adjoint, torch.randn(shape, dtype=torch.float64), 3000)
    torch.testing.assert_close(value, exact)
    assert vector.norm().item() == pytest.approx(1)
    (ours,) = torch.autograd.grad(value, layer.weight)
    (theirs,) = torch.autograd.grad(exact, layer.weight)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_a_convolution_is_what_the_layer_does_but_for_its_bias():
    layer = nn.Conv2d(3, 5, 3, 2, 1, bias=False)
    x = torch.randn(3, 9, 8)
    torch.testing.assert_close(layer_maps(layer, (3, 9, 8))[0](x), layer(x[None])[0])


def test_a_warm_start_follows_a_map_that_changes_little():
    torch.manual_seed(0)
    matrix, vector = torch.randn(20, 30, dtype=torch.float64), torch.randn(30, dtype=torch.float64)
    for _ in range(300):
        matrix += 1e-3 * torch.randn(20, 30, dtype=torch.float64)
        value, vector = top_singular_value(matrix.mv, matrix.T.mv, vector, 1)
    torch.testing.assert_close(value, torch.linalg.matrix_norm(matrix, ord=2), rtol=1e-3, atol=0)


def test_a_layer_of_zeros_has_the_value_zero():
    value, vector = top_singular_value(torch.zeros(2, 3).mv, torch.zeros(3, 2).mv, torch.ones(3), 3)
    assert value == 0
    assert torch.isfinite(vector).all()
