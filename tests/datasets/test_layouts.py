"""Benchmarks read from the layouts in which people have them, here small ones written on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longway.data import ImageColumn, TextColumn
from longway.datasets import check_counts
from longway.datasets.camelyon17 import Camelyon17
from longway.datasets.civilcomments import IDENTITIES, CivilComments, identity_groups
from longway.datasets.metashift import MetaShift
from longway.datasets.multinli import MultiNLI
from longway.datasets.utkface import UTKFace
from longway.datasets.waterbirds import Waterbirds
from longway.metrics.group_metrics import evaluate_groups
from longway.utils.errors import LongwayError

from .helpers import backbone, draw, fingerprints, sizes

BIRDS = ("landbird, land", "landbird, water", "waterbird, land", "waterbird, water")


def waterbirds(root: Path, counts: dict[str, tuple[int, ...]], *, images: bool = True) -> None:
    rows = [
        (code, y, place)
        for code, name in enumerate(("train", "val", "test"))
        for (y, place), n in zip(((0, 0), (0, 1), (1, 0), (1, 1)), counts[name], strict=True)
        for _ in range(n)
    ]
    split, y, place = map(np.array, zip(*rows, strict=True))
    names = [f"{k % 9:03d}.Bird/{k}.jpg" for k in range(len(rows))]
    root.mkdir(parents=True)
    columns = {"img_id": range(1, len(rows) + 1), "img_filename": names, "y": y, "split": split, "place": place}
    columns["place_filename"] = ["/b/bamboo/1.jpg" if p == 0 else "/o/ocean/1.jpg" for p in place]
    pd.DataFrame(columns).to_csv(root / "metadata.csv", index=False)
    if images:
        for k, name in enumerate(names):
            draw(root / name, k)


SMALL = {"train": (12, 2, 1, 6), "val": (4, 4, 2, 2), "test": (5, 5, 3, 3)}


@pytest.fixture
def birds(folder: Path) -> Path:
    waterbirds(folder / "waterbird_complete95_forest2water2", SMALL)
    return folder / "waterbird_complete95_forest2water2"


def test_waterbirds(birds):
    parts = Waterbirds(size=4).build(0)
    for name, counts in SMALL.items():
        assert sizes(parts[name]) == dict(zip(BIRDS, counts, strict=True))
    assert set(sizes(parts["val_balanced"]).values()) == {2}
    train = parts["train"]
    assert train.X.shape == (21, 3, 4, 4)
    assert train.X.dtype == np.uint8
    np.testing.assert_allclose(parts["test"].X[:, 0, 0, 0], np.arange(33, 49), atol=3)
    lazy = Waterbirds().build(0)["train"]
    assert isinstance(lazy.X, ImageColumn)
    assert lazy.X[0].size == (6, 6)
    assert lazy.attributes["place"].tolist() == train.attributes["place"].tolist()


def test_waterbirds_majority_only(birds):
    parts = Waterbirds(correlation=1.0, balanced_test=False).build(0)
    assert sizes(parts["train"]) == {BIRDS[0]: 12, BIRDS[3]: 6}
    assert sizes(parts["val"]) == {BIRDS[0]: 4, BIRDS[3]: 2}
    assert len(parts["test"]) == 16
    assert set(sizes(Waterbirds(correlation=1.0).build(0)["test"]).values()) == {3}


def test_waterbirds_with_published_counts(folder):
    card = Waterbirds.card
    published = {name: tuple(counts.values()) for name, counts in card.counts.items()}
    assert published["train"] == (3498, 184, 56, 1057)
    waterbirds(folder / "waterbirds", published, images=False)
    parts = Waterbirds().build(0)
    assert check_counts(parts, card) == []
    parts["train"] = parts["train"].take(np.arange(1, 4795))
    del parts["test"]
    assert check_counts(parts, card) == ["train, landbird, land: 3497 instead of 3498", "test: missing"]


def test_the_fingerprint_follows_the_metadata(birds):
    before = Waterbirds().raw_fingerprint()
    assert Waterbirds(folder=str(birds)).raw_fingerprint() == before
    table = pd.read_csv(birds / "metadata.csv")
    table.loc[0, "y"] = 1
    table.to_csv(birds / "metadata.csv", index=False)
    assert Waterbirds().raw_fingerprint() != before


@pytest.mark.parametrize("nested", [True, False])
def test_metashift(folder, nested):
    root = folder / "metashift"
    counts = {("cat", "indoor"): 10, ("cat", "outdoor"): 5, ("dog", "indoor"): 5, ("dog", "outdoor"): 10}
    for part in ("train", "test"):
        for (animal, place), n in counts.items():
            for k in range(n):
                draw(root / part / animal / (f"{animal}({place})" if nested else place) / f"{k}.jpg", k)
    (root / "notes.txt").write_text("not an image")
    parts = MetaShift(size=4).build(0)
    groups = ("cat, indoor", "cat, outdoor", "dog, indoor", "dog, outdoor")
    assert sizes(parts["train"]) == dict(zip(groups, (8, 4, 4, 8), strict=True))
    assert sizes(parts["val"]) == dict(zip(groups, (2, 1, 1, 2), strict=True))
    assert sizes(parts["test"]) == dict(zip(groups, counts.values(), strict=True))
    assert all(name.startswith("test/") for name in parts["test"].ids)
    assert fingerprints(MetaShift(size=4).build(0)) == fingerprints(parts)
    assert set(sizes(MetaShift(correlation=1.0).build(0)["train"])) == {groups[0], groups[3]}
    before = MetaShift().raw_fingerprint()
    draw(root / "train" / "cat" / "indoor" / "more.jpg")
    assert MetaShift().raw_fingerprint() != before


def test_metashift_without_a_split(folder):
    for animal in ("cats", "dogs"):
        for place in ("indoors", "outdoors"):
            for k in range(10):
                draw(folder / "pets" / animal / place / f"{k}.png")
    parts = MetaShift(folder=str(folder / "pets")).build(0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 24, "val": 8, "test": 8, "val_balanced": 8}


def test_camelyon17(folder):
    root = folder / "camelyon17_v1.0"
    n = 40
    k = np.arange(n)
    columns = {
        "patient": [f"{i % 7:03d}" for i in k],
        "node": k % 3,
        "x_coord": 3 * k,
        "y_coord": 5 * k,
        "tumor": k % 2,
        "slide": k % 10,
        "center": k // 2 % 5,
        "split": (k >= 30).astype(int),
    }
    root.mkdir()
    pd.DataFrame(columns).to_csv(root / "metadata.csv")
    for i in k:
        patient = f"patient_{i % 7:03d}_node_{i % 3}"
        draw(root / "patches" / patient / f"patch_{patient}_x_{3 * i}_y_{5 * i}.png", i)
    parts = Camelyon17(size=6).build(0)
    hospital = k // 2 % 5
    meant = {"val_ood": k[hospital == 1], "test": k[hospital == 2]}
    meant |= {"train": k[~np.isin(hospital, (1, 2)) & (k < 30)], "val": k[~np.isin(hospital, (1, 2)) & (k >= 30)]}
    for name, rows in meant.items():
        np.testing.assert_array_equal(parts[name].X[:, 0, 0, 0], rows)
        np.testing.assert_array_equal(parts[name].y, rows % 2)
    assert sorted(sizes(parts["train"])) == [f"{y}, hospital {h}" for y in ("normal", "tumour") for h in (0, 3, 4)]


def test_utkface(folder, tmp_path):
    root = folder / "UTKFace"
    for age in (20, 40):
        for gender in (0, 1):
            for k in range(10 + 10 * ((age == 20) == gender)):
                draw(root / f"{age}_{gender}_{k % 5}_2017{k:04d}.jpg.chip.jpg", 5 * k)
    draw(root / "61_1_20170109142408075.jpg.chip.jpg")
    parts = UTKFace(size=4).build(0)
    assert sum(len(parts[name]) for name in ("train", "val", "test")) == 60
    assert sizes(parts["train"]) == {
        "female, 30 or older": 6,
        "female, below 30": 12,
        "male, 30 or older": 12,
        "male, below 30": 6,
    }
    only = UTKFace(correlation=1.0).build(0)["train"]
    assert sizes(only) == {"female, below 30": 12, "male, 30 or older": 12}
    race = UTKFace(attribute="race").build(0)["train"]
    assert set(sizes(race)) == {f"{g}, {r}" for g in ("female", "male") for r in ("white", "not white")}
    through = UTKFace(backbone=backbone(tmp_path), mean=0.0, std=1.0).build(0)
    assert through["train"].X.shape == (36, 3)


SENTENCES = {
    "gold_label": [0, 1, 2] * 6,
    "sentence2_has_negation": [0, 0, 0, 1, 1, 1] * 3,
    "split": [0] * 6 + [1] * 6 + [2] * 6,
    "sentence1": [f"Premise {k}." for k in range(18)],
    "sentence2": ["n/a", *(f"It is not {k}." for k in range(1, 18))],
}


def test_multinli(folder):
    (folder / "multinli").mkdir()
    pd.DataFrame(SENTENCES).to_csv(folder / "multinli" / "metadata_random.csv")
    parts = MultiNLI().build(0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 6, "val": 6, "test": 6, "val_balanced": 6}
    assert isinstance(parts["test"].X, TextColumn)
    assert parts["test"].X[0] == "Premise 12. [SEP] It is not 12."
    assert MultiNLI(separator=" ").build(0)["test"].X[1] == "Premise 13. It is not 13."
    assert parts["train"].X[0].startswith("Premise 0. [SEP] ")
    assert len(sizes(parts["train"])) == 6
    assert "contradiction, no negation" in sizes(parts["train"])


TOY_ENCODER = """
import numpy as np

class Lengths:
    fingerprint = "lengths"

    def encode(self, texts):
        return np.array([[len(text), 1.0] for text in texts])
"""


def test_civilcomments(folder, tmp_path):
    n = 48
    columns = {
        "id": range(n),
        "split": np.repeat(["train", "val", "test"], n // 3),
        "comment_text": ["None" if k == 1 else "word " * (k % 5 + 1) for k in range(n)],
        "toxicity": np.arange(n) % 2 * 0.5,
    }
    for j, name in enumerate(IDENTITIES):
        columns[name] = [0.75 if k % 8 == j and k % 16 < 8 else (np.nan if k == 9 else 0.25) for k in range(n)]
    (folder / "civilcomments_v1.0").mkdir()
    pd.DataFrame(columns).to_csv(folder / "civilcomments_v1.0" / "all_data_with_identities.csv")
    parts = CivilComments().build(0)
    train = parts["train"]
    assert sizes(train) == {
        f"{label}, {mention}": 4 for label in ("not toxic", "toxic") for mention in ("identity", "no identity")
    }
    member, names = identity_groups(train)
    assert member.shape == (16, 16)
    assert member.sum() == 8
    assert evaluate_groups(train.y, train.y, member, names=names).worst_group_accuracy == 1.0
    (tmp_path / "encoder.py").write_text(TOY_ENCODER)
    through = CivilComments(backbone=f"{tmp_path / 'encoder.py'}:Lengths").build(0)
    assert through["test"].X.tolist() == [[len(text), 1.0] for text in parts["test"].X]


MISFITS = [
    (Waterbirds, "waterbirds", "metadata.csv", "img_filename,y,split\na.jpg,0,0\nb.jpg,1,2\n", "no column 'place'"),
    (
        Waterbirds,
        "waterbirds",
        "metadata.csv",
        "img_filename,y,split,place\na.jpg,0,0,0\nb.jpg,7,2,1\n",
        "'label' of .* must be 0 or 1",
    ),
    (
        Waterbirds,
        "waterbirds",
        "metadata.csv",
        "img_filename,y,split,place\na.jpg,0,0,0\nb.jpg,1,2,1\n",
        "no row of .* is in the part 'val'",
    ),
    (Waterbirds, "waterbirds", "other.csv", "a\n", r"waterbirds has no metadata\.csv; is it the right folder\?"),
    (Camelyon17, "camelyon17", "metadata.csv", "tumor,center\n0,1\n", "no column 'split'"),
    (
        MultiNLI,
        "multinli",
        "metadata_random.csv",
        "gold_label,sentence2_has_negation,split\n0,0,0\n0,0,2\n",
        "no column 'sentence1'",
    ),
    (
        MultiNLI,
        "multinli",
        "metadata_random.csv",
        "gold_label,sentence2_has_negation,split\n5,0,0\n0,0,2\n",
        "gold_label must be 0, 1 or 2",
    ),
    (
        CivilComments,
        "civilcomments",
        "all_data_with_identities.csv",
        "toxicity,comment_text,split\nhigh,a,train\n",
        "'toxicity' of .* does not hold numbers",
    ),
    (MetaShift, "metashift", "cat.txt", "a", "no images in folders such as train/cat"),
    (UTKFace, "UTKFace", "a.txt", "a", "no files such as 26_1_2"),
]


@pytest.mark.parametrize(("benchmark", "place", "name", "content", "says"), MISFITS)
def test_a_layout_that_does_not_fit(folder, benchmark, place, name, content, says):
    (folder / place).mkdir()
    (folder / place / name).write_text(content)
    with pytest.raises(LongwayError, match=says) as caught:
        benchmark().build(0)
    assert "\n" not in str(caught.value)
