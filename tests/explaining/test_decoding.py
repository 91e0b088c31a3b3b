"""Decoders of features, with pipelines that only look like diffusers'."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from longway import HSFM, explain
from longway.datasets import make_planted_shortcut
from longway.explaining import UnCLIP, load_unclip
from longway.explaining.page import explanation_page
from longway.utils.errors import LongwayError


class Pipeline:
    """Draws each embedding as a flat picture of its first three numbers, with a little noise."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, width=None):
        self.image_encoder = SimpleNamespace(config=SimpleNamespace(projection_dim=width))
        self.quiet = False

    def set_progress_bar_config(self, disable):
        self.quiet = disable

    def to(self, device):
        self.device = device
        return self

    def __call__(self, image=None, image_embeds=None, generator=None, output_type="pil", num_inference_steps=20):
        assert output_type == "np"
        assert image_embeds.shape[0] == 1
        noise = 0.01 * torch.rand(8, 8, 3, generator=generator)
        picture = (image_embeds[0, :3].sigmoid() * 0.9 + noise).numpy()
        return SimpleNamespace(images=picture[None])


class Variation(Pipeline):
    def __call__(self, image=None, image_embeddings=None, generator=None, output_type="pil"):
        return super().__call__(None, image_embeddings, generator, output_type)


class TextOnly(Pipeline):
    def __call__(self, prompt, generator=None, output_type="pil"):
        raise AssertionError


@pytest.mark.parametrize("pipeline", [Pipeline, Variation])
def test_features_are_drawn_from_the_same_noise(pipeline):
    features = np.random.default_rng(0).normal(size=(3, 5))
    features[2] = features[0]
    drawn = UnCLIP(pipeline())(features)
    assert drawn.shape == (3, 8, 8, 3)
    assert np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(UnCLIP(pipeline(), seed=1)(features), drawn)


def test_what_cannot_be_drawn():
    with pytest.raises(LongwayError, match="decoder: TextOnly takes no image embeddings"):
        UnCLIP(TextOnly())
    with pytest.raises(LongwayError, match=r"decoder draws embeddings of 768 numbers, the features have 5"):
        UnCLIP(Pipeline(768))(np.zeros((1, 5)))


def test_edits_are_drawn_on_the_page():
    data = make_planted_shortcut(300, correlation=0.9)
    model = HSFM(epochs=2, n_refits=1).fit(data.X, data.y)
    found = explain(model, data.X, data.y, decoder=UnCLIP(Pipeline()), n_examples=2)
    assert found.edits.decoded.shape == (4, 2, 8, 8, 3)
    page = explanation_page(found).render()
    assert page.count("<img") == 8
    assert "as the decoder draws them" in page


def fake_diffusers(monkeypatch, load):
    module = ModuleType("diffusers")
    module.DiffusionPipeline = SimpleNamespace(from_pretrained=load)
    monkeypatch.setitem(sys.modules, "diffusers", module)


def test_a_pipeline_is_loaded_from_safetensors_only(monkeypatch):
    asked = {}

    def load(place, **options):
        asked.update(options, place=place)
        return Pipeline()

    fake_diffusers(monkeypatch, load)
    decoder = load_unclip("some/unclip", device="cpu", seed=3)
    assert asked == {"place": "some/unclip", "torch_dtype": torch.float32, "use_safetensors": True}
    assert decoder.pipeline.quiet
    assert decoder(np.zeros((1, 4))).shape == (1, 8, 8, 3)


def test_a_pipeline_that_cannot_be_loaded(monkeypatch):
    def load(place, **options):
        raise OSError("no file named\nmodel_index.json")

    fake_diffusers(monkeypatch, load)
    with pytest.raises(
        LongwayError, match=r"decoder here cannot be loaded as a diffusers pipeline: no file named model"
    ):
        load_unclip("here", device="cpu")


def test_without_diffusers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(LongwayError, match=r"pip install 'longway\[decode\]'"):
        load_unclip("here")
