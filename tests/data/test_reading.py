"""Reading every kind of source."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from longway.data import ImageColumn, TextColumn, read
from longway.utils import storage
from longway.utils.errors import LongwayWarning


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a local source must not reach for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def write(table, path: Path) -> Path:
    frame = pd.DataFrame(table)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_tables_of_features(tmp_path, table, name):
    path = write(table, tmp_path / name)
    data = read(path, label="bird", attributes=["place"], split="part", split_by=None, input="f*")
    assert data.kind == "features"
    assert data.X.dtype == np.float32
    np.testing.assert_allclose(data.X, np.array([table["f0"], table["f1"]]).T)
    assert data.y.tolist() == table["bird"]
    assert data.groups[2] == "bird=land, place=sea"
    assert data.parts == {"train": 6, "val": 3, "test": 3}
    assert data.ids.tolist() == list(range(12))
    assert data.table is not None
    assert data.table.columns == ["bird", "place", "site", "part"]
    assert data.inputs == ("f0", "f1")


def test_all_other_numbers_are_features(tmp_path, table):
    del table["site"], table["place"]
    path = write({**table, "sex": [0, 1] * 6}, tmp_path / "t.csv")
    with pytest.warns(LongwayWarning, match="column f0 only numbers the rows and is no input"):
        assert read(path, label="bird", split="part").inputs == ("f1", "sex")
    with pytest.warns(LongwayWarning):
        data = read(path, label="bird", split="part", attributes="sex")
    assert data.inputs == ("f1",)
    assert data.attributes["sex"].dtype == np.int64
    assert read(path, label="bird", split="part", input=["f1", "f0"]).X[2].tolist() == [1, 2]


def test_a_group_column_stands_for_attributes(tmp_path, table):
    data = read(write(table, tmp_path / "t.csv"), label="bird", group="place", input=["f0"])
    assert data.groups.tolist() == table["place"]


def test_splits_by_column_hash_or_chance(tmp_path, table):
    path = write(table, tmp_path / "t.csv")
    options = {"label": "bird", "input": "f*"}
    by_site = read(path, split_by="site", **options)
    for site in set(table["site"]):
        assert len(set(by_site.split[np.array(table["site"]) == site])) == 1
    by_chance = read(path, **options)
    assert by_chance.parts == {"train": 8, "val": 2, "test": 2}
    np.testing.assert_array_equal(by_chance.split, read(path, **options).split)
    assert (by_chance.split != read(path, seed=1, **options).split).any()
    assert read(path, fractions=None, **options).split is None
    assert read(path, input="f*").split is None
    assert read(path, input="f*").y is None
    assert read(path, input="f*", split_by="site").split is not None


def test_limit_keeps_order_labels_and_split(tmp_path, table):
    path = write(table, tmp_path / "t.csv")
    whole, some = (read(path, label="bird", input="f*", limit=n) for n in (None, 5))
    assert len(some) == 5
    assert (np.diff(some.ids) > 0).all()
    np.testing.assert_array_equal(some.X, whole.X[some.ids])
    np.testing.assert_array_equal(some.split, whole.split[some.ids])
    assert len(read(path, label="bird", input="f*", limit=99)) == 12


def test_lists_are_features(tmp_path, table):
    X = np.random.default_rng(0).normal(size=(12, 5))
    columns = {name: table[name] for name in ("bird", "f0")}
    lists = pa.array(X.tolist())
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel(), pa.float32()), 5)
    for name, values in (("a", lists), ("b", fixed), ("c", lists.cast(pa.large_list(pa.float16())))):
        pq.write_table(pa.table({**columns, "emb": values}), tmp_path / f"{name}.parquet", row_group_size=5)
        data = read(tmp_path / f"{name}.parquet", label="bird")
        np.testing.assert_allclose(data.X, X, rtol=1e-2, atol=1e-3)
        assert data.X.dtype == (np.float16 if name == "c" else np.float32)


def test_texts_stay_on_disk(tmp_path):
    path = write({"review": [f"text {i}" for i in range(600)], "tone": [0, 1] * 300}, tmp_path / "t.csv")
    data = read(path, label="tone")
    assert isinstance(data.X, TextColumn)
    assert data.kind == "texts"
    assert data.X[3] == "text 3"
    assert data.X[-1] == "text 599"
    assert data.X[598:700] == ["text 598", "text 599"]
    assert data.X[np.array([5, 2])] == ["text 5", "text 2"]
    assert list(data.X) == [f"text {i}" for i in range(600)]
    assert data.take([7, 3]).X[:] == ["text 7", "text 3"]
    with pytest.raises(IndexError):
        data.X[600]
    assert data.input_fingerprint == read(path, label="tone").input_fingerprint
    assert data.input_fingerprint != data.take([1, 0]).input_fingerprint


@pytest.mark.parametrize("form", ["struct", "bytes", "path"])
def test_image_columns(tmp_path, image_folder, form):
    names = sorted(path.relative_to(image_folder).as_posix() for path in image_folder.rglob("*.png"))
    content = [(image_folder / name).read_bytes() for name in names]
    values = {
        "struct": [{"bytes": b, "path": name} for b, name in zip(content, names, strict=True)],
        "bytes": content,
        "path": names,
    }[form]
    path = image_folder / "t.parquet"
    pq.write_table(pa.table({"photo": values, "y": [0, 1] * 3}), path)
    data = read(path, label="y")
    assert isinstance(data.X, ImageColumn)
    assert data.kind == "images"
    shades = [int(Path(name).stem[-1]) * 10 for name in names]
    assert [np.asarray(image)[0, 0, 0] for image in data.X] == shades
    assert data.ids.tolist() == (list(range(6)) if form == "bytes" else names)
    assert list(data.X.sizes()) == [(8, 6)] * 6
    assert data.take([4, 2]).X[0].size == (8, 6)


def test_image_folder_with_metadata(image_folder):
    data = read(image_folder, label="bird", attributes="place", split="split")
    assert data.ids.tolist() == [f"{'ab'[i % 2]}/test_{i}.png" for i in range(6)]
    assert data.y.tolist() == ["water", "land"] * 3
    assert data.split.tolist() == ["train", "val", "test"] * 2
    assert [np.asarray(image)[0, 0, 0] for image in data.X] == [0, 10, 20, 30, 40, 50]


def test_image_folder_whose_metadata_use_another_name(image_folder):
    text = (image_folder / "metadata.csv").read_text()
    (image_folder / "metadata.csv").write_text(text.replace("file_name", "img_filename"))
    data = read(image_folder, label="bird", split="split")
    assert data.ids[1] == "b/test_1.png"
    assert np.asarray(data.X[1])[0, 0, 0] == 10


def test_classes_as_sub_folders(image_folder):
    (image_folder / "metadata.csv").unlink()
    data = read(image_folder)
    assert data.y.tolist() == ["a"] * 3 + ["b"] * 3
    assert data.label == "label"
    assert data.ids[0] == "a/test_0.png"


def test_train_and_test_folders_are_the_split(tmp_path, image_folder):
    (image_folder / "metadata.csv").unlink()
    root = tmp_path / "split"
    root.mkdir()
    for part in ("train", "test"):
        for name in "ab":
            (root / part / name).mkdir(parents=True)
            for i in range(2):
                Image.new("L", (4, 4), i).save(root / part / name / f"{i}.png")
    data = read(root)
    assert data.parts == {"train": 4, "test": 4}
    assert all(name.startswith(part) for name, part in zip(data.ids, data.split, strict=True))
    assert data.y.tolist() == ["a", "a", "b", "b"] * 2
    assert read(root, split_by="label", fractions=(1, 0, 0)).parts == {"train": 8}


def test_folders_of_parquet_parts(tmp_path, table):
    root = tmp_path / "shards"
    root.mkdir()
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"):
        write({"y": [0, 1], "x": [0.0, 1.0]}, root / f"{name}.parquet")
    assert read(root, label="y").parts == {"train": 4, "val": 2}
    (root / "train-00000-of-00002.parquet").rename(root / "more.parquet")
    data = read(root, label="y", fractions=None)
    assert len(data) == 6
    assert data.split is None


def test_saved_datasets(tmp_path, table):
    rows = datasets.Dataset.from_dict(table).class_encode_column("bird")
    rows.save_to_disk(tmp_path / "one")
    data = read(tmp_path / "one", label="bird", input="f*", split="part")
    assert data.y.tolist() == table["bird"]
    rows = rows.remove_columns("part")
    both = datasets.DatasetDict({"train": rows, "validation": rows.select(range(4))})
    both.save_to_disk(tmp_path / "two")
    data = read(tmp_path / "two", label="bird", input="f*")
    assert data.parts == {"train": 12, "val": 4}
    assert len(read(tmp_path / "two", label="bird", input="f*", hf_split="validation", fractions=None)) == 4


def test_npz(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", X=np.asfortranarray(X), y=y, place=y.astype(str), other=np.zeros(5))
        data = read(tmp_path / "a.npz", attributes="place")
        np.testing.assert_array_equal(data.X, X)
        np.testing.assert_array_equal(data.y, y)
        assert data.label == "y"
        assert data.groups[0] == f"y={y[0]}, place={y[0]}"
    monkeypatch.setattr(storage, "IN_MEMORY_BYTES", 10)
    data = read(tmp_path / "a.npz", label="place")
    assert isinstance(data.X, np.memmap)
    np.testing.assert_array_equal(data.X, X)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((5, 8, 9), (5, 1, 8, 9)),
        ((5, 8, 9, 3), (5, 3, 8, 9)),
        ((5, 3, 8, 9), (5, 3, 8, 9)),
        ((5, 1, 8, 9), (5, 1, 8, 9)),
    ],
)
def test_images_in_npz_are_scaled(tmp_path, shape, wanted):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x_train=pixels)
    data = read(tmp_path / "a.npz", input="x_train")
    assert data.kind == "images"
    assert data.X.shape == wanted
    assert data.X.dtype == np.float32
    channels_last = np.moveaxis(data.X, 1, -1).reshape(-1)
    if shape[1] not in (1, 3):
        np.testing.assert_allclose(channels_last, pixels.ravel() / 255, rtol=1e-6)


def test_orientation_and_shrinking_while_decoding(tmp_path):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8))
    exif = photo.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    photo.save(buffer, "jpeg", exif=exif)
    pq.write_table(pa.table({"photo": [buffer.getvalue()]}), tmp_path / "t.parquet")
    column = read(tmp_path / "t.parquet").X
    assert column[0].size == (200, 300)
    assert list(column.sizes()) == [(200, 300)]
    assert column.read(np.array([0]), min_size=40)[0].size == (50, 75)


def test_celeba(shared_data):
    data = read(shared_data / "celeba_10k_64px.parquet", label="Blond_Hair", attributes="Male", split_by="identity")
    assert (len(data), data.kind, data.X[0].size) == (10_000, "images", (64, 64))
    names, counts = np.unique(data.groups, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "Blond_Hair=0, Male=0": 4412,
        "Blond_Hair=0, Male=1": 4136,
        "Blond_Hair=1, Male=0": 1371,
        "Blond_Hair=1, Male=1": 81,
    }
    identity = data.table.values("identity", "test", "celeba")
    parts = [set(identity[data.split == part]) for part in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts))
    np.testing.assert_allclose([n / 10_000 for n in data.parts.values()], (0.6, 0.2, 0.2), atol=0.05)


def test_cifar(shared_data):
    path = shared_data / "cifar10_automobile_truck.npz"
    data = read(path, input="x_test", label="y_test")
    assert data.X.shape == (2000, 3, 32, 32)
    assert set(data.y.tolist()) == {1, 9}
