"""Layouts of folders, dialects of CSV files and odd columns, as public bug reports have them: the right values."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from longway import ERM, LongwayError, read
from longway.utils.errors import LongwayWarning

PARTS = ("train", "test")


def image(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(path)


def classes(root, *before, names=("cat", "dog"), n=4):
    for name in names:
        for k in range(n):
            image(root.joinpath(*before, name, f"{k}.png"), 20 * k)


def table(tmp_path, text, name="t.csv", **options):
    (tmp_path / name).write_text(text, **options)
    return tmp_path / name


@pytest.mark.parametrize(
    "folders", [PARTS, ("training_set", "test_set"), ("Train", "Testing"), ("train-images", "val")]
)
@pytest.mark.parametrize("beside", [(), ("__MACOSX",), ("notes",), (".cache",)])
def test_an_official_split_is_kept(tmp_path, folders, beside):
    for folder in folders:
        classes(tmp_path, folder)
    for folder in beside:
        (tmp_path / folder).mkdir()
    data = read(tmp_path)
    assert list(data.parts.values()) == [8, 8]
    assert set(data.ids[data.split == "train"]) == {
        f"{folders[0]}/{c}/{k}.png" for c in ("cat", "dog") for k in range(4)
    }


def test_a_split_in_the_names_of_a_metadata_file_is_kept(tmp_path):
    for part in PARTS:
        classes(tmp_path, part)
    names = [f"{part}/{c}/{k}.png,{c}" for part in PARTS for c in ("cat", "dog") for k in range(4)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label", *names]))
    data = read(tmp_path, label="label")
    assert data.parts == {"train": 8, "test": 8}
    assert all(name.startswith("test") for name in data.ids[data.split == "test"])


def test_images_outside_the_parts_are_named(tmp_path):
    for part in PARTS:
        classes(tmp_path, part)
    image(tmp_path / "notes" / "x.png")
    with pytest.warns(LongwayWarning, match="rows of 'notes' are left out, as train and test are there too"):
        assert read(tmp_path).parts == {"train": 8, "test": 8}


def test_the_outer_folder_is_the_class(tmp_path):
    for animal in ("cow", "camel"):
        classes(tmp_path, animal, names=("grass", "sand"))
    assert set(read(tmp_path).y) == {"cow", "camel"}


def test_one_image_out_of_place_is_named(tmp_path):
    classes(tmp_path)
    image(tmp_path / "logo.png")
    with pytest.warns(LongwayWarning, match=r"1 file left out that is in no class folder \(logo\.png\)"):
        assert len(read(tmp_path)) == 8


def test_a_test_part_without_classes_is_left_out(tmp_path):
    classes(tmp_path, "train")
    image(tmp_path / "test" / "0.png")
    with pytest.warns(UserWarning, match="the test part has no label 'label': its 1 rows are left out"):
        data = read(tmp_path)
    assert data.parts == {"train": 8}


def test_a_byte_order_mark_changes_nothing(tmp_path):
    found = []
    for name, encoding in (("plain", "utf-8"), ("marked", "utf-8-sig")):
        for k in range(4):
            image(tmp_path / name / f"{k}.png")
        text = "file_name,bird\n" + "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(4))
        table(tmp_path / name, text, "metadata.csv", encoding=encoding)
        found.append(read(tmp_path / name, label="bird"))
    assert found[0].inputs == found[1].inputs == ("image",)
    assert found[0].y.tolist() == found[1].y.tolist()


DIALECTS = {
    "commas": "label,f0,f1\na,1.5,2\nb,2.5,3\n",
    "semicolons": "label;f0;f1\na;1,5;2\nb;2,5;3\n",
    "tabs": "label\tf0\tf1\na\t1.5\t2\nb\t2.5\t3\n",
    "bars": "label|f0|f1\na|1.5|2\nb|2.5|3\n",
    "a line of Excel's": "sep=;\nlabel;f0;f1\na;1,5;2\nb;2,5;3\n",
    "quoted decimal commas": 'label,f0,f1\na,"1,5",2\nb,"2,5",3\n',
    "quoted separators": 'label,f0,f1,note\na,1.5,2,"x; y, z"\nb,2.5,3,"u; v"\n',
    "windows": "label,f0,f1\r\na,1.5,2\r\nb,2.5,3\r\n",
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS)
def test_dialects_of_csv(tmp_path, text):
    data = read(table(tmp_path, text), label="label", input=["f0", "f1"])
    assert data.X.tolist() == [[1.5, 2], [2.5, 3]]
    assert data.y.tolist() == ["a", "b"]


@pytest.mark.parametrize("word", ["None", "NA", "null", "nan", "N/A"])
def test_words_are_words_and_empty_cells_are_missing(tmp_path, word):
    path = table(tmp_path, f"defect,f\n{word},1\ncrack,2\n")
    assert read(path, label="defect").y.tolist() == [word, "crack"]
    with pytest.raises(LongwayError, match="has 1 missing value, the first in row 1"):
        read(table(tmp_path, f"defect,f\n{word},1\n,2\n"), label="defect")


def test_blanks_at_the_end_make_no_class(tmp_path):
    text = "animal,part,f\n" + "".join(
        f"{['cat', 'cat ', ' dog'][k % 3]},{['train ', 'test'][k % 2]},{k}\n" for k in range(12)
    )
    data = read(table(tmp_path, text), label="animal", split="part")
    assert set(data.y) == {"cat", "dog"}
    assert data.parts == {"train": 6, "test": 6}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_row_numbers_of_pandas_are_no_features(tmp_path, kind):
    frame = pd.DataFrame({"f": np.arange(6.0), "label": list("aabbab")}, index=np.arange(10, 16))
    path = tmp_path / f"t.{kind}"
    frame.to_csv(path) if kind == "csv" else frame.to_parquet(path)
    with pytest.warns(LongwayWarning, match="only numbers the rows and is no input"):
        assert read(path, label="label").inputs == ("f",)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_large_numbers_keep_their_digits(tmp_path, kind):
    y = np.arange(400) % 2
    seconds = 1.7e9 + 20 * y + np.random.default_rng(0).normal(size=400)
    frame = pd.DataFrame({"t": seconds, "label": np.array(["a", "b"])[y]})
    path = tmp_path / f"t.{kind}"
    if kind == "npz":
        np.savez(path, X=seconds[:, None], label=frame["label"].to_numpy(str))
    else:
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
    data = read(path, label="label")
    assert data.X.dtype == np.float64
    np.testing.assert_array_equal(data.X[:, 0], seconds)
    assert ERM().fit(data.X, data.y).score(data.X, data.y) == 1


def test_ordinary_numbers_stay_small(tmp_path):
    frame = pd.DataFrame({"f": np.random.default_rng(0).normal(size=50), "label": list("ab") * 25})
    frame.to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", label="label").X.dtype == np.float32


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_labels_above_all_signed_integers(tmp_path, kind):
    codes = np.array([2**63 + 5, 2**63 + 9], np.uint64)
    frame = pd.DataFrame({"who": codes[np.arange(8) % 2], "f": np.arange(8.0)})
    path = tmp_path / f"t.{kind}"
    if kind == "npz":
        np.savez(path, X=frame[["f"]].to_numpy(), who=frame["who"].to_numpy())
    else:
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
    assert np.unique(read(path, label="who").y).tolist() == codes.tolist()


def test_labels_that_floats_cannot_hold_are_refused(tmp_path):
    pd.DataFrame({"y": [1e300, 5.0] * 4, "f": range(8)}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(LongwayError, match="which are not exact: store strings or integers"):
        read(tmp_path / "t.parquet", label="y")


MORE = {
    "big-endian": np.arange(6.0).astype(">f8"),
    "complex": np.arange(6.0) * 1j,
    "structured": np.zeros(6, [("x", "i4"), ("y", "f4")]),
    "objects": np.array(list("abcdef"), dtype=object),
    "two axes": np.zeros((6, 2)),
}


@pytest.mark.parametrize("name", MORE)
def test_arrays_that_nobody_asked_for_stop_nothing(tmp_path, name):
    np.savez(tmp_path / "t.npz", X=np.eye(6).astype(">f8"), y=(np.arange(6) % 2).astype(">i4"), more=MORE[name])
    data = read(tmp_path / "t.npz")
    assert data.X.tolist() == np.eye(6).tolist()
    assert data.y.tolist() == [0, 1] * 3
    if name != "big-endian":
        with pytest.raises(LongwayError, match=r"the array 'more' \(attribute\) of .* h(olds|as)"):
            read(tmp_path / "t.npz", attributes="more")


@pytest.mark.parametrize("labels", [np.arange(6)[:, None] % 2, np.eye(2)[np.arange(6) % 2]], ids=["column", "one-hot"])
def test_labels_of_another_shape_are_spoken_of(tmp_path, labels):
    np.savez(tmp_path / "t.npz", X=np.eye(6), y=labels)
    with pytest.warns(LongwayWarning, match=r"the array y is not taken for the label, as it has shape \(6, [12]\)"):
        assert read(tmp_path / "t.npz").y is None
    with (
        pytest.raises(LongwayError, match=r"has shape \(6, [12]\): a column must have shape \(6,\)"),
        pytest.warns(),
    ):
        read(tmp_path / "t.npz", label="y")


def test_a_file_with_other_columns_is_named(tmp_path):
    for part in PARTS:
        table(tmp_path, "f,label\n1,a\n2,b\n", f"{part}.csv")
    table(tmp_path, "code,meaning\n1,x\n", "codebook.csv")
    with pytest.raises(LongwayError, match=r"codebook\.csv has other columns than the files next to it"):
        read(tmp_path, label="label")


def test_further_parts_of_a_split_are_left_out(tmp_path):
    parts = ["train", "val", "test", "id_val", "id_test"]
    path = table(tmp_path, "split,y,f\n" + "".join(f"{parts[k % 5]},{k % 3},{k}\n" for k in range(50)))
    with pytest.warns(UserWarning, match="rows of 'id_test', 'id_val' are left out, as train and test are there too"):
        data = read(path, label="y", split="split")
    assert data.parts == {"train": 10, "val": 10, "test": 10}
    assert data.X[:3, 0].tolist() == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_part_without_labels_is_left_out(tmp_path):
    import datasets

    kind = datasets.Features({"label": datasets.ClassLabel(names=["n", "p"]), "f": datasets.Value("float32")})

    def rows(labels):
        return datasets.Dataset.from_dict({"label": labels, "f": [float(k) for k in range(len(labels))]}, features=kind)

    parts = {"train": rows([0, 1] * 4), "validation": rows([0, 1]), "test": rows([-1] * 5)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "all")
    assert read(tmp_path / "all").parts == {"train": 8, "val": 2}
    rows([-1] * 5).save_to_disk(tmp_path / "new")
    assert read(tmp_path / "new").y is None


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "metadata.csv"])
def test_another_file_of_the_same_name_and_time_is_read(tmp_path, name):
    path = tmp_path / name
    for k in range(4):
        image(tmp_path / f"{k}.png")
    for labels in ("ab", "cd"):
        frame = pd.DataFrame({"file_name": [f"{k}.png" for k in range(4)], "label": list(labels) * 2, "f": range(4)})
        frame = frame if name == "metadata.csv" else frame[["label", "f"]]
        frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
        os.utime(path, (1_700_000_000,) * 2)
        source = tmp_path if name == "metadata.csv" else path
        assert set(read(source, label="label").y) == set(labels)


OUTSIDE = {
    "parent": "../secret.png",
    "absolute": "{root}/secret.png",
    "hidden parent": "a/../../secret.png",
    "windows": "..\\secret.png",
}


@pytest.mark.parametrize("column", ["file_name", "picture"])
@pytest.mark.parametrize("name", OUTSIDE.values(), ids=OUTSIDE)
def test_files_outside_the_folder_are_read_only_on_demand(tmp_path, name, column):
    image(tmp_path / "secret.png")
    (tmp_path / "data" / "a").mkdir(parents=True)
    for k in range(2):
        image(tmp_path / "data" / f"{k}.png")
    lines = [f"{column},label", "0.png,a", "1.png,b", f"{name.format(root=tmp_path)},a"]
    table(tmp_path / "data", "\n".join(lines), "metadata.csv")
    with pytest.raises(LongwayError, match="outside the data's folder"):
        read(tmp_path / "data", label="label").X[:]
    if "\\" not in name:
        assert len(read(tmp_path / "data", label="label", allow_outside=True).X[:]) == 3


def test_the_path_of_a_parquet_image_must_not_lead_out(tmp_path):
    image(tmp_path / "secret.png")
    (tmp_path / "data").mkdir()
    images = [{"bytes": None, "path": str(tmp_path / "secret.png")}] * 4
    pd.DataFrame({"image": images, "label": list("abab")}).to_parquet(tmp_path / "data" / "t.parquet")
    with pytest.raises(LongwayError, match="outside the data's folder"):
        read(tmp_path / "data" / "t.parquet", label="label").X[:]


def test_formats_that_run_programs_are_not_opened(tmp_path):
    classes(tmp_path, n=2)
    (tmp_path / "cat" / "0.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n%%EOF\n")
    with pytest.raises(LongwayError, match="is not an image that can be decoded"):
        read(tmp_path).X[:]


@pytest.mark.parametrize("column", ["file_name", "picture"])
def test_names_that_windows_wrote(tmp_path, column):
    for k in range(4):
        image(tmp_path / "a" / f"{k}.png")
    table(tmp_path, f"{column},y\n" + "".join(f"a\\{k}.png,{k % 2}\n" for k in range(4)), "metadata.csv")
    assert [picture.size for picture in read(tmp_path, label="y").X[:]] == [(8, 8)] * 4
