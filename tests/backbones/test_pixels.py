"""Images on disk of mixed size and mode."""

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
