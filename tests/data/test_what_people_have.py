"""Inputs from public bug reports: folders, tables and arrays as people have them."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
from data.conftest import draw

from longway.data import read
from longway.utils.errors import LongwayWarning

N = 20


def photos(root: Path, *folders: str, n: int = 2) -> Path:
    for shade, folder in enumerate(folders):
        for i in range(n):
            draw(root / folder / f"{i}.PNG", 10 * shade + i)
    return root


def csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "t.csv").write_text(text, encoding=encoding)
    return folder / "t.csv"


# folders


@pytest.mark.parametrize("extra", ["__MACOSX", "notes", ".git"])
def test_an_empty_folder_beside_the_parts_changes_nothing(tmp_path, extra):
    photos(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog")
    (tmp_path / extra).mkdir()
    assert read(tmp_path).parts == {"train": 4, "test": 4}


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("Training", "Testing"), ("TRAIN", "TEST"), ("train-images", "test images")],
)
def test_names_of_parts(tmp_path, train, test):
    data = read(photos(tmp_path, f"{train}/cat", f"{train}/dog", f"{test}/cat", f"{test}/dog"))
    assert data.parts == {"train": 4, "test": 4}
    assert data.y.tolist() == ["cat", "cat", "dog", "dog"] * 2


def test_a_class_may_be_called_train(tmp_path):
    data = read(photos(tmp_path, "car", "train", "boat"), fractions=None)
    assert sorted(set(data.y.tolist())) == ["boat", "car", "train"]


def test_metadata_may_name_files_in_parts(tmp_path):
    photos(tmp_path, "train", "test")
    lines = [f"{part}/{i}.PNG,{i}" for part in ("train", "test") for i in range(2)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,y", *lines]))
    assert read(tmp_path, label="y").split.tolist() == ["train", "train", "test", "test"]


def test_each_part_may_have_its_metadata(tmp_path):
    photos(tmp_path, "train", "test")
    for part in ("train", "test"):
        (tmp_path / part / "metadata.csv").write_text("file_name,y\n0.PNG,a\n1.PNG,b\n")
    data = read(tmp_path, label="y")
    assert data.parts == {"train": 2, "test": 2}
    assert data.X[3].size == (8, 6)


def test_the_first_folder_is_the_class(tmp_path):
    data = read(photos(tmp_path, "cow/grass", "cow/sand", "camel/grass", "camel/sand"))
    assert sorted(set(data.y.tolist())) == ["camel", "cow"]
    assert read(photos(tmp_path / "deep", "train/cow/sand", "test/cow/sand")).y.tolist() == ["cow"] * 4


def test_a_file_outside_class_folders_is_left_out(tmp_path):
    photos(tmp_path, "cat", "dog")
    draw(tmp_path / "logo.png", 9)
    with pytest.warns(LongwayWarning, match=r"1 file left out that is in no class folder \(logo\.png\): move it"):
        data = read(tmp_path)
    assert data.y.tolist() == ["cat", "cat", "dog", "dog"]
    assert len(read(tmp_path, labelled=False)) == 5


def test_a_test_part_without_classes_is_left_out(tmp_path):
    photos(tmp_path, "train/cat", "train/dog", "test")
    with pytest.warns(LongwayWarning, match="the test part has no label 'label': its 2 rows are left out"):
        data = read(tmp_path)
    assert data.parts == {"train": 4}
    assert read(tmp_path, labelled=False).parts == {"train": 4, "test": 2}


@pytest.mark.parametrize("column", ["file_name", "img_filename"])
def test_backslashes(tmp_path, column):
    photos(tmp_path, "a")
    (tmp_path / "metadata.csv").write_text(f"{column},y\na\\0.PNG,1\na\\1.PNG,0\n")
    data = read(tmp_path, label="y")
    assert [image.size for image in data.X] == [(8, 6)] * 2
    assert data.ids.tolist() == ["a/0.PNG", "a/1.PNG"]


def test_a_byte_order_mark_in_metadata(tmp_path):
    photos(tmp_path, "a")
    text = "file_name,y\na/0.PNG,1\na/1.PNG,0\n"
    found = []
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "metadata.csv").write_text(text, encoding=encoding)
        found.append(read(tmp_path, label="y").inputs)
    assert found == [("image",)] * 3


# labels that are not there


def saved(root: Path, **parts: list[int]) -> Path:
    kind = datasets.Features({"label": datasets.ClassLabel(names=["neg", "pos"]), "f": datasets.Value("float32")})
    rows = {
        name: datasets.Dataset.from_dict({"label": y, "f": [0.5] * len(y)}, features=kind) for name, y in parts.items()
    }
    datasets.DatasetDict(rows).save_to_disk(root / "d")
    return root / "d"


def test_unlabelled_rows_of_a_dataset(tmp_path):
    path = saved(tmp_path, train=[0, 1] * 4, validation=[0, 1], test=[-1] * 3)
    with pytest.warns(LongwayWarning, match="the test part has no label 'label': its 3 rows are left out"):
        data = read(path, label="label")
    assert data.parts == {"train": 8, "val": 2}
    assert data.ids.tolist() == list(range(10))
    assert read(path, labelled=False).parts == {"train": 8, "val": 2, "test": 3}
    assert read(saved(tmp_path / "new", train=[-1] * 4)).y is None


def test_other_parts_are_left_out_with_a_warning(tmp_path):
    parts = ["train", "val", "test", "id_val", "id_test"]
    path = csv(tmp_path, "split,y,f\n" + "".join(f"{parts[i % 5]},{i % 3},{i / 2}\n" for i in range(N)))
    with pytest.warns(LongwayWarning, match="rows of 'id_test', 'id_val' are left out"):
        data = read(path, label="y", split="split")
    assert data.parts == {"train": 4, "val": 4, "test": 4}
    assert data.ids[:4].tolist() == [0, 1, 2, 5]


# tables


def test_words_are_words(tmp_path):
    frame = pd.DataFrame({"y": ["None", "crack"] * 5, "zone": ["NA", "EU"] * 5, "f": [0.5, 1.5] * 5})
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = read(tmp_path / "t.csv", label="y", attributes="zone")
    assert (data.y[0], data.attributes["zone"][0]) == ("None", "NA")
    texts = csv(tmp_path, "text,y\nnull,1\nfine,0\n")
    assert read(texts, label="y").X[0] == "null"


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["007", "010"], ["007", "010"]),
        (["0", "10"], [0, 10]),
        (["cat ", "cat"], ["cat", "cat"]),
        (["True", "false"], [1, 0]),
        ([str(2**63 + 5), "7"], [2**63 + 5, 7]),
        ([str(2**64), "7"], [str(2**64), "7"]),
        (["1e3", "2.0"], [1000, 2]),
    ],
)
def test_labels_keep_their_values(tmp_path, cells, found):
    path = csv(tmp_path, "y,f\n" + "".join(f"{cell},{i / 2}\n" for i, cell in enumerate(cells)))
    assert read(path, label="y", fractions=None).y.tolist() == found


def test_a_column_that_turns_into_words_late(tmp_path):
    path = csv(tmp_path, "y,f\n" + "".join(f"{i % 2},0.5\n" for i in range(70_000)) + "x,0.5\n")
    assert read(path, label="y", fractions=None).y[[0, -1]].tolist() == ["0", "x"]


@pytest.mark.parametrize(
    "text",
    [
        "y;f;g\na;1,5;7\nb;2,5;7\n",
        "y\tf\tg\na\t1.5\t7\nb\t2.5\t7\n",
        "y|f|g\na|1.5|7\nb|2.5|7\n",
        "sep=;\ny;f;g\na;1,5;7\nb;2,5;7\n",
        'y,f,g\na,"1,5",7\nb,"2,5",7\n',
        '"y";"f";"g"\n"a";"1,5";"7"\n"b";"2,5";"7"\n',
    ],
)
def test_separators_and_decimal_commas(tmp_path, text):
    data = read(csv(tmp_path, text), label="y", fractions=None)
    assert data.inputs == ("f", "g")
    assert data.X.tolist() == [[1.5, 7], [2.5, 7]]


@pytest.mark.parametrize("index", ["", "index", "row_id"])
def test_an_index_is_no_feature(tmp_path, index):
    frame = pd.DataFrame({"f0": np.linspace(0, 1, N), "y": ["a", "b"] * (N // 2)})
    frame.index = pd.Index(np.random.default_rng(0).permutation(N), name=index or None)
    frame.to_csv(tmp_path / "t.csv")
    with pytest.warns(LongwayWarning, match="only numbers the rows"):
        assert read(tmp_path / "t.csv", label="y").inputs == ("f0",)


def test_words_beside_numbers_are_no_inputs(tmp_path):
    path = csv(tmp_path, "name,f,y\nx,0.5,a\ny,1.5,b\n")
    with pytest.warns(LongwayWarning, match="column name holds words and is no input; choose the inputs with input="):
        assert read(path, label="y").inputs == ("f",)


def test_a_split_column_that_is_not_used(tmp_path):
    path = csv(tmp_path, "split,f,y\ntrain,0.5,a\ntest,1.5,b\n")
    with pytest.warns(
        LongwayWarning, match="column 'split' is not used, and a split is drawn: to use it, split='split'"
    ):
        read(path, label="y", input="f")


# precision


@pytest.mark.parametrize("kind", ["csv", "parquet", "lists", "npz"])
def test_numbers_keep_their_differences(tmp_path, kind):
    t = 1_700_000_000 + np.arange(N) % 7
    path = tmp_path / f"t.{'parquet' if kind == 'lists' else kind}"
    if kind == "npz":
        np.savez(path, X=t[:, None])
    else:
        frame = pd.DataFrame({"t": [[float(value)] for value in t] if kind == "lists" else t})
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    X = read(path).X
    assert X.dtype == np.float64
    assert X[:, 0].tolist() == t.tolist()


@pytest.mark.parametrize("value", [1e300, 1e-300])
def test_extremes_are_not_lost(tmp_path, value):
    path = csv(tmp_path, "f\n" + f"{value}\n{2 * value}\n")
    assert read(path).X[:, 0].tolist() == [value, 2 * value]


def test_npz_columns_that_nobody_asked_for(tmp_path):
    X, y = np.arange(6.0).reshape(3, 2), np.arange(3)
    others = {
        "phase": X[:, 0] * 1j,
        "box": np.zeros(3, [("x", "i4")]),
        "path": np.array(["a", "b", "c"], object),
        "time": X[:, 0].astype(">f8"),
        "name": np.array([b"a", b"b", b"c"]),
    }
    np.savez(tmp_path / "t.npz", X=X.astype(">f8"), y=y.astype(">i4"), **others)
    data = read(tmp_path / "t.npz", fractions=None)
    assert data.X.dtype.isnative
    assert data.y.tolist() == [0, 1, 2]
    assert data.table.columns == ["y", "time", "name"]
    assert read(tmp_path / "t.npz", group="name", fractions=None).groups.tolist() == ["a", "b", "c"]
