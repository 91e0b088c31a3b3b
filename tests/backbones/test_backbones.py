"""Backbones: loading, embedding, and their error messages."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from longway.backbones import IMAGENET_MEAN, IMAGENET_STD, Transform, load_backbone
from longway.utils.errors import LongwayError

FILE = """
from dataclasses import dataclass
import torch
from torch import nn
size = 5
mean = 0.5

@dataclass
class Config:
    width: int = 7

class Net(nn.Module):
    std = (0.5, 0.25, 0.5)
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, Config().width, 3)
        self.drop = nn.Dropout(0.5)
    def forward(self, x):
        return self.drop(self.conv(x))

def load():
    return Net()

def broken():
    raise RuntimeError("weights are gone\\nsecond line")

def number():
    return 3
"""


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def images(n: int = 2, size: tuple[int, int] = (6, 4)) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)) for _ in range(n)]


def test_a_file_is_loaded_with_its_own_defaults(file):
    path_before, modules = list(sys.path), set(sys.modules)
    backbone = load_backbone(f"{file}:load", device="cpu")
    assert backbone.name == "mine.py:load"
    assert backbone.transform == Transform(5, (0.5, 0.5, 0.5), (0.5, 0.25, 0.5))
    assert load_backbone(f"{file}:load", size=8, std=1.0, device="cpu").transform.size == 8
    assert sys.path == path_before
    assert all(name.startswith("longway_backbone_") for name in set(sys.modules) - modules if "mine" in name)
    assert not (file.parent / "__pycache__").exists()


def test_features_are_pooled_in_eval_mode_without_gradients(file):
    backbone = load_backbone(f"{file}:load", device="cpu")
    features = backbone.embed(images())
    assert features.shape == (2, 7)
    assert features.dtype == torch.float32
    assert not features.requires_grad
    backbone.module.train()
    torch.testing.assert_close(backbone.embed(images()), features)
    x = torch.tensor(np.stack([np.asarray(i.resize((5, 5), Image.Resampling.BILINEAR)) for i in images()]))
    scaled = (x.permute(0, 3, 1, 2) / 255 - 0.5) / torch.tensor([0.5, 0.25, 0.5]).view(3, 1, 1)
    torch.testing.assert_close(features, backbone.module.conv(scaled).mean((2, 3)).detach(), rtol=1e-4, atol=1e-5)


def test_modules_functions_and_methods_are_backbones():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 6, 2))
    assert load_backbone(linear, device="cpu").embed(images()).shape == (2, 2)
    assert load_backbone(lambda x: x, device="cpu").embed(images()).shape == (2, 3)
    assert load_backbone(linear.forward, device="cpu").fingerprint != load_backbone(linear, device="cpu").fingerprint
    half = load_backbone(linear.to(torch.bfloat16), device="cpu").embed(images())
    assert half.dtype == torch.float32


def test_a_module_that_needs_the_contiguous_layout():
    class Viewing(nn.Module):
        def forward(self, x):
            return x.view(len(x), -1)

    features = load_backbone(Viewing(), mean=0, std=1, device="cpu").embed(images())
    expected = np.stack([np.asarray(image).transpose(2, 0, 1).ravel() / 255 for image in images()])
    np.testing.assert_allclose(features, expected, rtol=1e-5)


def test_texts():
    class Encoder:
        def encode(self, texts):
            return np.array([[len(text), 1] for text in texts])

    backbone = load_backbone(Encoder(), device="cpu")
    assert backbone.embed(["a", "bcd"]).tolist() == [[1, 1], [3, 1]]
    with pytest.raises(LongwayError, match="cannot embed images: Encoder is not a function"):
        backbone.embed(images())
    with pytest.raises(LongwayError, match=r"Identity cannot embed texts: it has no encode"):
        load_backbone(nn.Identity(), device="cpu").embed(["a"])


def test_images_become_rgb():
    transform = Transform(size=3)
    grey16 = Image.fromarray((np.arange(9).reshape(3, 3) * 257).astype(np.uint16))
    for image in (Image.new("L", (5, 4), 7), Image.new("RGBA", (3, 3)), Image.new("P", (3, 3)), Image.new("1", (9, 9))):
        assert transform.stack([image]).shape == (1, 3, 3, 3)
    assert transform.stack([grey16])[0, 1].flatten().tolist() == list(range(9))
    with pytest.raises(LongwayError, match=r"different sizes in one batch .* set size="):
        Transform().stack([Image.new("L", (2, 2)), Image.new("L", (3, 2))])


def test_arrays_are_embedded_as_images_are():
    backbone = load_backbone(nn.Flatten(), size=4, mean=0.5, std=0.5, device="cpu")
    pixels = np.stack([np.asarray(image.resize((4, 4))).transpose(2, 0, 1) for image in images()])
    wanted = backbone.embed([image.resize((4, 4)) for image in images()])
    torch.testing.assert_close(backbone.embed(pixels), wanted)
    torch.testing.assert_close(backbone.embed((pixels / 255).astype(np.float32)), wanted, rtol=1e-5, atol=1e-5)
    assert backbone.embed(np.zeros((2, 1, 9, 9), np.float32)).shape == (2, 48)
    assert backbone.transform.mean == (0.5,) * 3
    default = load_backbone(nn.Flatten(), device="cpu").transform
    assert (default.size, default.mean, default.std) == (None, IMAGENET_MEAN, IMAGENET_STD)


def test_the_fingerprint_follows_weights_transform_class_and_code(file):
    def made(**options):
        return load_backbone(f"{file}:load", device="cpu", **options)

    first = made().fingerprint
    assert made().fingerprint == first
    others = [made(size=6), made(mean=0.1), made(std=2.0)]
    with torch.no_grad():
        others.append(made())
        others[-1].module.conv.bias[0] += 1
    file.write_text(FILE + "# changed\n")
    others.append(made())
    assert len({first, *(other.fingerprint for other in others)}) == 6


def test_a_backbone_without_weights_needs_a_fingerprint():
    def plain(x):
        return x

    backbone = load_backbone(plain, device="cpu")
    with pytest.raises(LongwayError, match=r"backbone plain has no weights .* give it an attribute 'fingerprint'"):
        backbone.fingerprint
    plain.fingerprint = "v1"
    first = backbone.fingerprint
    plain.fingerprint = "v2"
    assert backbone.fingerprint != first


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("{file}", {}, r"must be given as path/to/file\.py:function"),
        ("resnet", {}, r"backbone 'resnet' must be given as path/to/file\.py:function"),
        ("{file}x:load", {}, r"backbone file .*mine\.pyx does not exist"),
        ("{file}:laod", {}, r"has no function 'laod'; did you mean 'load'\? Known: load, broken, number"),
        ("{file}:broken", {}, r"broken\(\) of backbone file .* raised RuntimeError: weights are gone; fix that file"),
        ("{file}:number", {}, r"backbone mine\.py:number is of type int: it must be an nn\.Module, a function"),
        ("{file}:load", {"size": 0}, r"size=0 of the backbone must be one whole number of pixels"),
        ("{file}:load", {"size": (3, 4)}, r"size=\(3, 4\) of the backbone must be one whole number"),
        ("{file}:load", {"mean": [0.1, 0.2]}, r"mean=\[0\.1, 0\.2\] of the backbone must be one number or three"),
        ("{file}:load", {"std": 0}, r"std=0 of the backbone must be one number or three, above 0"),
        ("{file}:load", {"std": "x"}, r"std='x' of the backbone must be"),
        ("{file}:load", {"device": "abacus"}, r"device='abacus' cannot be used"),
    ],
)
def test_bad_specs(file, spec, options, message):
    with pytest.raises(LongwayError, match=message) as caught:
        load_backbone(spec.format(file=file), **{"device": "cpu", **options})
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_python(tmp_path):
    (tmp_path / "bad.py").write_text("def load(:\n")
    with pytest.raises(LongwayError, match=r"backbone file .*bad\.py raised SyntaxError: .*fix that file"):
        load_backbone(f"{tmp_path / 'bad.py'}:load")


def growing(x, widths=iter(range(2, 9))):  # noqa: B008 - it must give another width each time
    return x.flatten(1)[:, : next(widths)]


def fail(x):
    raise ValueError("no\nway")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (fail, r"backbone fail raised ValueError on images of shape \(2, 3, 4, 6\): no; check its code and its size"),
        (nn.Linear(5, 2), r"backbone Linear raised RuntimeError on images of shape \(2, 3, 4, 6\): mat1 and mat2"),
        (
            lambda x: x[:1],
            r"gave shape \(1, 3, 4, 6\) for images of shape \(2, 3, 4, 6\): it must give \(2, d\), \(2, tok",
        ),
        (lambda x: x.unsqueeze(1), r"gave shape \(2, 1, 3, 4, 6\) for"),
        (lambda x: x.mean(), r"gave shape \(\) for"),
        (lambda x: x[:, :0], r"gave shape \(2, 0, 4, 6\) for"),
        (lambda x: {"out": x}, r"gave dict for images .*: it must give an array \(N, d\)"),
        (lambda x: x * np.nan, r"gave NaN or infinite features for images of shape"),
        (growing, r"gave 3 features for images .*, but 2 for the batch before"),
    ],
)
def test_bad_outputs(module, message):
    backbone = load_backbone(module, device="cpu")

    def twice() -> None:
        backbone.embed(images())
        backbone.embed(images())

    with pytest.raises(LongwayError, match=message) as caught:
        twice()
    assert "\n" not in str(caught.value)


def test_mobilenet(shared_data):
    backbone = load_backbone(f"{shared_data / 'mobilenet_v2.py'}:load", size=32, mean=0.5, std=0.5, device="cpu")
    features = backbone.embed(images(3, (40, 50)))
    assert features.shape == (3, 1280)
    assert backbone.sized(64).fingerprint != backbone.fingerprint
