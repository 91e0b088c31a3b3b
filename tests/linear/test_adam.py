import pytest
import torch

from longway.linear._adam import Adam


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_takes_the_steps_of_torch(dtype):
    generator = torch.Generator().manual_seed(0)
    ours = torch.randn(5, 3, generator=generator, dtype=dtype)
    theirs = ours.clone().requires_grad_()
    adam, optimizer = Adam(ours, 0.3), torch.optim.Adam([theirs], lr=0.3)
    for size in (1.0, 1e-3, 0.0, 1e-12, 1e3, 1.0):
        gradient = size * torch.randn(5, 3, generator=generator, dtype=dtype)
        before = gradient.clone()
        adam.step(gradient)
        assert torch.equal(gradient, before)
        theirs.grad = gradient
        optimizer.step()
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-6)
