import io
import re
from dataclasses import replace

import datasets
import numpy as np
import pytest
from PIL import Image

import longway
from longway.auditing.duplicates import find_duplicates
from longway.auditing.prepare import as_dataset
from longway.data import ImageColumn
from longway.datasets import make_planted_shortcut

SPLIT = np.array(["train"] * 100 + ["test"] * 20)
Y = np.tile([0, 1], 60)


def notes(X, y=Y, split=SPLIT):
    return find_duplicates(as_dataset(X, y, None, split, None, None))


def features():
    return np.random.default_rng(0).normal(size=(120, 3))


def images():
    return np.random.default_rng(0).random((120, 3, 4, 4), np.float32)


def texts():
    return [f"text number {k}" for k in range(120)]


@pytest.mark.parametrize("make", [features, images, texts])
def test_distinct_samples_give_no_note(make):
    assert notes(make()) == []


@pytest.mark.parametrize("make", [features, images, texts])
def test_duplicates_in_another_part_are_leakage(make):
    X = make()
    for k in range(10):
        X[100 + k] = X[k]
    repeated, leakage = notes(X)
    assert repeated == "10 rows repeat another row"
    assert re.fullmatch(
        "leakage: 20 rows are equal to rows of another part of the split, such as '.+' and '.+'", leakage
    )
    assert notes(X, split=None) == [repeated]


@pytest.mark.parametrize("make", [features, images, texts])
def test_duplicates_with_another_label_are_reported(make):
    X = make()
    X[1] = X[0]
    assert notes(X, split=None) == ["1 row repeats another row", "1 repeated row has different labels"]


def test_texts_are_compared_without_case_spaces_and_accents_coding():
    X = texts()
    X[0], X[110] = "Un  caf\u00e9,\nSVP", " un cafe\u0301, svp "
    assert notes(X)[1] == "leakage: 2 rows are equal to rows of another part of the split, such as '0' and '110'"


def encoded(k):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(k).integers(0, 255, (8, 8, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_image_files_are_compared_and_unreadable_ones_are_no_duplicates():
    given = [encoded(k) for k in range(120)]
    given[110], given[5], given[6] = given[3], None, None
    column = ImageColumn(datasets.Dataset.from_dict({"image": given}), "image", "memory")
    data = replace(as_dataset(features(), Y, None, SPLIT, None, None), X=column)
    assert (
        find_duplicates(data)[1]
        == "leakage: 2 rows are equal to rows of another part of the split, such as '3' and '110'"
    )


def test_an_audit_reports_leakage():
    drawn = make_planted_shortcut(300, correlation=0.5, seed=100)
    said = [f"{'good' if y else 'bad'} film number {k}" for k, y in enumerate(drawn.y)]
    found = longway.audit([*said, *said[:30]], np.r_[drawn.y, drawn.y[:30]], split=["train"] * 300 + ["test"] * 30)
    assert any(note.startswith("leakage: 60 rows") for note in found.notes)
