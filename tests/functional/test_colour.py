import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longway.functional.colour import colour_maps, colour_moments


def draw(seed, n_values=2, channels=3):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(12, channels, 4, 5, generator=generator) * torch.tensor([1.0, 0.6, 0.3]).view(1, -1, 1, 1)
    values = torch.arange(12) % n_values
    return images * (1 + 0.5 * values.view(-1, 1, 1, 1)), values


def test_moments_equal_the_obvious_loop():
    images, values = draw(0, 3)
    mean, second = colour_moments(images, values, 4)
    for value in range(3):
        pixels = images[values == value].double().permute(0, 2, 3, 1).reshape(-1, 3)
        torch.testing.assert_close(mean[value], pixels.mean(0))
        torch.testing.assert_close(second[value], pixels.T @ pixels / len(pixels))
    assert mean[3].abs().max() == second[3].abs().max() == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_map_gives_the_second_moments_of_its_aim(seed):
    mean, second = colour_moments(*draw(seed), 2)
    maps = colour_maps(mean, second)
    torch.testing.assert_close(maps[0, 1] @ second[0] @ maps[0, 1].T, second[1])
    torch.testing.assert_close(maps[1, 0] @ maps[0, 1], torch.eye(3).double())
    torch.testing.assert_close(maps[0, 0], torch.eye(3).double())


def test_colours_that_are_not_shared_change_places():
    images = torch.zeros(4, 3, 2, 2)
    images[:2, 0], images[2:, 1] = torch.rand(2, 2, 2), 0.5
    maps = colour_maps(*colour_moments(images, torch.tensor([0, 0, 1, 1]), 2)).float()
    there = torch.einsum("ij,njhw->nihw", maps[0, 1], images[:2])
    assert there[:, [0, 2]].abs().max() < 1e-6
    assert there[:, 1].abs().max() > 0.1
    torch.testing.assert_close(torch.einsum("ij,njhw->nihw", maps[1, 0], there), images[:2])


def test_alike_sets_are_left_as_they_are():
    images, _ = draw(1)
    twice = torch.cat([images, images])
    maps = colour_maps(*colour_moments(twice, torch.arange(24) // 12, 2))
    torch.testing.assert_close(maps[0, 1], torch.eye(3).double())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_turning_keeps_the_length_of_every_pixel(seed):
    maps = colour_maps(*colour_moments(*draw(seed), 2), matched=False)
    torch.testing.assert_close(maps[0, 1] @ maps[0, 1].T, torch.eye(3).double())
    torch.testing.assert_close(maps[1, 0], maps[0, 1].T)
