"""CelebA: the real faces, and the layout that users have on disk."""

from __future__ import annotations

import numpy as np
import pytest

from longway.data import ImageColumn
from longway.datasets.celeba import ATTRIBUTES, CelebA
from longway.utils.errors import CorruptFileError, LongwayError

from .helpers import backbone, draw, fingerprints, sizes

GROUPS = [f"Blond_Hair={hair}, Male={male}" for hair in (0, 1) for male in (0, 1)]


def test_all_faces_are_there(real):
    parts = CelebA(size=None).build(0)
    three = [parts[name] for name in ("train", "val", "test")]
    assert [sum(sizes(part)[group] for part in three) for group in GROUPS] == [4412, 4136, 1371, 81]
    assert len(set.union(*(set(part.ids) for part in three))) == 10_000
    assert set(sizes(parts["val_balanced"]).values()) == {min(sizes(parts["val"]).values())}
    again = CelebA(size=None).build(0)
    assert all(np.array_equal(again[name].ids, part.ids) for name, part in parts.items())
    assert not np.array_equal(CelebA(size=None).build(1)["train"].ids, parts["train"].ids)


def test_an_induced_correlation(real):
    parts = CelebA(label="Wavy_Hair", correlation=0.95, size=None).build(1)
    for name in ("train", "val"):
        part = parts[name]
        for label in (0, 1):
            here = part.y == label
            agreed = np.mean(part.attributes["Male"][here] != label)
            assert agreed == pytest.approx(0.95, abs=2e-3)
    for name in ("val_balanced", "test"):
        assert len(set(sizes(parts[name]).values())) == 1
        assert len(sizes(parts[name])) == 4
    assert isinstance(parts["train"].X, ImageColumn)


def test_majority_only(real):
    parts = CelebA(label="Attractive", attribute="Smiling", correlation=1.0, balanced_test=False, size=None).build(0)
    for name in ("train", "val"):
        assert list(sizes(parts[name])) == ["Attractive=0, Smiling=0", "Attractive=1, Smiling=1"]
    assert len(sizes(parts["test"])) == 4
    blond = CelebA(correlation=1.0, size=None).build(0)["train"]
    assert list(sizes(blond)) == GROUPS[1:3]
    same = CelebA(correlation=1.0, agreeing="same", size=None).build(0)["train"]
    assert list(sizes(same)) == [GROUPS[0], GROUPS[3]]


N = 80


@pytest.fixture
def layout(folder):
    """Write 80 faces of 40 people as they are distributed."""
    root = folder / "celeba"
    generator = np.random.default_rng(0)
    values = generator.choice([-1, 1], (N, 40))
    values[:, ATTRIBUTES.index("Blond_Hair")] = np.arange(N) // 2 % 2 * 2 - 1
    values[:, ATTRIBUTES.index("Male")] = np.arange(N) % 2 * 2 - 1
    names = [f"{k + 1:06d}.jpg" for k in range(N)]
    for k, name in enumerate(names):
        draw(root / "img_align_celeba" / name, 3 * k)
    rows = [f"{name}  " + "  ".join(map(str, row)) for name, row in zip(names, values.tolist(), strict=True)]
    (root / "list_attr_celeba.txt").write_text("\n".join([str(N), " ".join(ATTRIBUTES) + " ", *rows]) + "\n")
    people = [f"{name} {k // 2}" for k, name in enumerate(names)]
    (root / "identity_CelebA.txt").write_text("\n".join(reversed(people)) + "\n")
    official = [f"{name} {min(k // 40, 1) + (k >= 60)}" for k, name in enumerate(names)]
    (root / "list_eval_partition.txt").write_text("\n".join(official) + "\n")
    return root


def test_the_layout_on_disk(layout):
    parts = CelebA(size=4).build(0)
    assert parts["train"].X.shape[1:] == (3, 4, 4)
    assert parts["train"].X.dtype == np.uint8
    assert fingerprints(CelebA(size=4).build(0)) == fingerprints(parts)
    assert sum(len(parts[name]) for name in ("train", "val", "test")) == N
    for part in parts.values():
        number = np.array([int(face[:6]) - 1 for face in part.ids])
        np.testing.assert_array_equal(part.y, number // 2 % 2)
        np.testing.assert_array_equal(part.attributes["Male"], number % 2)
        np.testing.assert_allclose(part.X[:, 0, 0, 0], 3 * number, atol=3)
    faces = [{(int(face[:6]) - 1) // 2 for face in parts[name].ids} for name in ("train", "val", "test")]
    assert sum(map(len, faces)) == len(set.union(*faces)) == N // 2


def test_the_official_split_and_csv(layout):
    parts = CelebA(split="official", size=None).build(0)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [40, 20, 20]
    before = fingerprints(parts)
    for stem in ("list_attr_celeba", "list_eval_partition"):
        lines = (layout / f"{stem}.txt").read_text().splitlines()
        header = "image_id," + ",".join(ATTRIBUTES) if "attr" in stem else "image_id,partition"
        rows = [",".join(line.split()) for line in (lines[2:] if "attr" in stem else lines)]
        (layout / f"{stem}.csv").write_text("\n".join([header, *rows]) + "\n")
        (layout / f"{stem}.txt").unlink()
    (layout / "img_align_celeba").rename(layout / "inner")
    (layout / "img_align_celeba").mkdir()
    (layout / "inner").rename(layout / "img_align_celeba" / "img_align_celeba")
    assert fingerprints(CelebA(split="official", size=None).build(0)) == before


def test_through_a_backbone(layout, tmp_path):
    encoder = backbone(tmp_path)
    benchmark = CelebA(backbone=encoder, size=4, mean=0.0, std=1.0)
    parts = benchmark.build(0)
    train = parts["train"]
    assert train.X.shape == (len(train), 3)
    assert train.X.dtype == np.float16
    number = np.array([int(face[:6]) - 1 for face in train.ids])
    np.testing.assert_allclose(train.X[:, 0], 3 * number / 255, atol=0.01)
    assert fingerprints(benchmark.build(0)) == fingerprints(parts)
    marks = {
        CelebA().raw_fingerprint(),
        benchmark.raw_fingerprint(),
        CelebA(backbone=encoder, size=8).raw_fingerprint(),
    }
    assert len(marks) == 3
    (tmp_path / "encoder.py").write_text((tmp_path / "encoder.py").read_text() + "\n# changed\n")
    assert benchmark.raw_fingerprint() not in marks


def test_damage_and_gaps(layout):
    (layout / "identity_CelebA.txt").write_text("000001.jpg 3\n")
    with pytest.raises(CorruptFileError, match=r"identity_CelebA\.txt lacks the image 000002\.jpg"):
        CelebA().build(0)
    (layout / "identity_CelebA.txt").unlink()
    with pytest.raises(LongwayError, match=r"no identity_CelebA\.txt; get it, or choose split='official'"):
        CelebA().build(0)
    (layout / "list_attr_celeba.txt").unlink()
    with pytest.raises(LongwayError, match=r"no list_attr_celeba\.txt or \.csv"):
        CelebA().build(0)


def test_a_changed_file_is_refused(folder):
    (folder / "celeba_10k_64px.parquet").write_bytes(b"nonsense")
    with pytest.raises(CorruptFileError, match=r"celeba_10k_64px\.parquet is not the file it should be"):
        CelebA().build(0)
