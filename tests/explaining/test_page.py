"""The page of an explanation: all of its parts, safe whatever the data say, and small."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from explaining.made_explanation import N, explanation
from report.test_page import HOSTILE, Document

from longway.explaining._heat_images import enlarged, overlay
from longway.explaining.page import explanation_page, write_explanation
from longway.report.blocks import KeyFigures
from longway.utils.errors import LongwayError
from longway.utils.records import Estimate

LIMIT = 10 * 2**20


def test_everything_is_shown():
    shown = Document(explanation_page(explanation()).render()).visible
    order = ["In short", "Axes", "Where it looks", "What it relies on", "What the edits mean", "What it is surest of"]
    places = [shown.index(title, shown.index("Version")) for title in order]
    assert places == sorted(places)
    for words in (
        "The head is flat along axis 1.",
        "longway fit sitarhead land",
        "Samples of class land moved much alike",
        "Nearest before",
        "Nearest after",
        "Moved towards",
        "of the reliance on land 0 is left",
        "40%",
        "Surest of class b",
        "Over epochs",
        "40 of the test part",
    ):
        assert words in shown, words


def test_parts_that_are_not_known_are_left_out():
    bare = explanation(axes=(), flat=(), heat=(), reliance=(), edits=None, curves={}, notes=(), method="ERM")
    page = explanation_page(bare)
    assert [section.title for section in page.sections] == ["In short", "What it is surest of"]
    groups = explanation(accuracy={}, answers=(), heat=(), reliance=(), edits=None, curves={})
    assert [section.title for section in explanation_page(groups).sections] == ["In short", "Axes"]
    assert "nan" not in explanation_page(bare).render()


def test_hostile_words_stay_words():
    hostile = " ".join(HOSTILE[k] for k in (0, 2, 4))
    document, plain = (Document(explanation_page(explanation(words)).render()) for words in (hostile, "land"))
    for name in ("script", "img", "style", "section", "button"):
        assert sum(tag == name for tag, _ in document.tags) == sum(tag == name for tag, _ in plain.tags)
    assert not [key for _, attributes in document.tags for key in attributes if key.startswith("on")]
    assert HOSTILE[0] in document.visible


def test_samples_of_features_are_shown_as_what_is_behind_them(tmp_path):
    found = explanation(images=False)
    rows = explanation_page(found).render()
    assert "<td" in rows
    pictures = np.random.default_rng(0).random((N, 3, 16, 16), dtype=np.float32)
    page = write_explanation(found, tmp_path / "out", pictures)
    assert page.read_text("utf-8").count("<img") > 100
    assert json.loads((tmp_path / "out" / "explanation.json").read_text("utf-8")) == found.to_dict()
    texts = explanation_page(found, [f"a text number {row}" for row in range(N)]).render()
    assert "a text number 3" in texts
    with pytest.raises(LongwayError, match="inputs has 3 rows, the explanation was given 40"):
        explanation_page(found, pictures[:3])


def test_it_is_small_whatever_the_pictures():
    large = np.random.default_rng(0).random((N, 3, 512, 512), dtype=np.float32)
    found = replace(explanation(), images=large)
    assert len(explanation_page(found).render()) < LIMIT


def test_the_same_explanation_gives_the_same_page():
    assert explanation_page(explanation()).render() == explanation_page(explanation()).render()


@pytest.mark.parametrize("side", [4, 64, 200])
def test_heat_is_laid_over_the_image(side):
    image = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    large = enlarged(image)
    assert min(large.shape[:2]) >= 128
    cold, hot = overlay(image, np.zeros((3, 3))), overlay(image, np.ones((3, 3)))
    assert cold.shape == hot.shape == large.shape
    assert (cold[..., 0] == cold[..., 1]).all()  # grey where nothing speaks for the class
    assert (hot[..., 0].astype(int) - hot[..., 2]).mean() > 100


@pytest.mark.parametrize(("after", "shown"), [((-0.2, -0.3, -0.1), "reversed"), ((-0.2, -0.3, 0.1), "0%")])
def test_a_reversed_reliance_is_not_called_a_rest(after, shown):
    found = explanation()
    first = found.reliance[0]
    name = next(iter(first.by_model))
    changed = replace(first, by_model={name: first.by_model[name], "b": Estimate(*after)})
    page = explanation_page(replace(found, reliance=(changed, *found.reliance[1:])))
    figures = next(block for block in page.sections[0].blocks if isinstance(block, KeyFigures))
    assert figures.figures[-1].value == shown
