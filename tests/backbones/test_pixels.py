"""Images on disk of mixed size and mode."""

import io

import numpy as np
import pytest
from PIL import Image

from longway import LongwayError, read
from longway.backbones import Transform
from longway.backbones.pixels import pixels

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
MODES = {
    "grey": Image.fromarray(GREY),
    "colour": Image.fromarray(np.stack([GREY] * 3, 2)),
    "transparent": Image.fromarray(np.stack([GREY] * 3 + [np.full_like(GREY, 255)], 2)),
    "16-bit": Image.fromarray(GREY.astype(np.uint16) * 257),
}


def folder(path, images):
    for name, image in images.items():
        (path / name).mkdir()
        image.save(path / name / "a.png")
    return read(path)


def test_images_of_all_modes_become_the_same_colours(tmp_path):
    found = pixels(folder(tmp_path, MODES), Transform()).X
    assert found.dtype == np.uint8
    for image in found:
        np.testing.assert_array_equal(image, np.stack([GREY] * 3))


def test_images_of_mixed_size_need_a_size(tmp_path):
    data = folder(tmp_path, {"small": MODES["grey"], "large": MODES["grey"].resize((12, 8))})
    with pytest.raises(LongwayError, match="holds images of 2 different sizes: choose one with size="):
        pixels(data, Transform())
    assert pixels(data, Transform(6)).X.shape == (2, 3, 6, 6)


def test_16_bit_arrays_are_scaled(tmp_path):
    for name, array in {"eight": GREY, "sixteen": GREY.astype(np.uint16) * 257}.items():
        np.savez(tmp_path / f"{name}.npz", X=np.stack([array] * 2))
    eight, sixteen = (read(tmp_path / f"{name}.npz").X for name in ("eight", "sixteen"))
    np.testing.assert_allclose(sixteen, eight, rtol=1e-6)
    assert eight.shape == (2, 1, 8, 8)


def through(array, suffix="tiff", mode=None):
    """Return the first pixel of an image that was saved and read again."""
    content = io.BytesIO()
    Image.fromarray(array, mode).save(content, suffix)
    return Transform().stack([Image.open(content)])[0, :, 0, 0].tolist()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((8, 8), 0.2, np.float32), 51),
        (np.full((8, 8), 1.0, np.float32), 255),
        (np.full((8, 8), 230, np.int32), 230),
        (np.full((8, 8), 65535, np.int32), 255),
        (np.full((8, 8), 514, np.uint16), 2),
    ],
)
def test_numbers_of_all_types_are_scaled(array, expected):
    assert through(array) == [expected] * 3


@pytest.mark.parametrize("array", [np.full((8, 8), 7.5, np.float32), np.full((8, 8), 70_000, np.int32)])
def test_numbers_of_unknown_range_are_refused(array):
    with pytest.raises(LongwayError, match="whose range is not known: save it with 8 or 16 bits"):
        through(array)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255)])
def test_invisible_colours_do_not_reach_the_model(colour):
    hidden = np.zeros((8, 8, 4), np.uint8)
    hidden[..., :3] = colour
    assert through(hidden, "png") == [255, 255, 255]
