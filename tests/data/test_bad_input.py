"""Each bad input: what is given, and the one line that says what is wrong and the way out."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from longway.data import read
from longway.utils.errors import CorruptFileError, LongwayError

GOOD = {"y": ["a", "b", "a"], "site": [1, 2, 3], "part": ["train", "val", "test"], "f0": [1.0, 2.0, 3.0]}


def csv(**changes: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        pd.DataFrame({**GOOD, **changes}).to_csv(folder / "t.csv", index=False)
        return folder / "t.csv"

    return make


def parquet(**columns: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        pq.write_table(pa.table(columns), folder / "t.parquet")
        return folder / "t.parquet"

    return make


def npz(**arrays: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        np.savez(folder / "t.npz", **arrays)
        return folder / "t.npz"

    return make


def raw(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def encrypted(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Say of every member that it is encrypted: the first flag, in its own header and in the directory."""

    def make_and_mark(folder: Path) -> Path:
        path = make(folder)
        content = bytearray(path.read_bytes())
        for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = content.find(signature)
            while at >= 0:
                content[at + flags] |= 1
                at = content.find(signature, at + 4)
        path.write_bytes(content)
        return path

    return make_and_mark


def cut(make: Callable[[Path], Path], share: float = 0.5) -> Callable[[Path], Path]:
    def make_and_cut(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return path

    return make_and_cut


def flipped(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Spoil one byte inside the data of the first array, where only the checksum shows it."""

    def make_and_flip(folder: Path) -> Path:
        path = make(folder)
        content = bytearray(path.read_bytes())
        content[300] ^= 255
        path.write_bytes(content)
        return path

    return make_and_flip


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def saved(**parts: list[int]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        rows = {name: datasets.Dataset.from_dict({"y": values, "f": values}) for name, values in parts.items()}
        datasets.DatasetDict(rows).save_to_disk(folder / "saved")
        return folder / "saved"

    return make


def folder(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        (root / "d" / name).parent.mkdir(parents=True)
        (root / "d" / name).write_bytes(content)
        return root / "d"

    return make


def parts(**files: bytes) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        (root / "d").mkdir()
        for name, content in files.items():
            (root / "d" / f"{name}.csv").write_bytes(content)
        return root / "d"

    return make


def at(name: str) -> Callable[[Path], Path]:
    return lambda folder: folder / name


OBJECTS = np.array([{"a": 1}, None, 3], dtype=object)
BIG = npz(X=np.random.default_rng(0).normal(size=(50, 9)), y=np.zeros(50))

TABLE: list[tuple[Callable[[Path], Path | str], dict[str, Any], type[LongwayError], str]] = [
    # the source
    (at("nope.csv"), {}, LongwayError, r"there is no file or folder .*nope\.csv: check the spelling"),
    (at("a/nope.csv"), {}, LongwayError, r"there is no folder .*a either"),
    (lambda _: "org/nope", {}, LongwayError, r"no file or folder 'org/nope' here, and no Hugging Face.*save_to_disk"),
    (lambda _: "nope", {}, LongwayError, r"no Hugging Face dataset of that name could be loaded \(Couldn't reach"),
    (raw("t.csv", b""), {}, CorruptFileError, r"t\.csv is empty"),
    (raw("t.csv", b"y,f0\n"), {}, LongwayError, r"t\.csv has no rows"),
    (raw("t.csv", b"a,b\n1,2\n1,2,3\n"), {}, CorruptFileError, r"t\.csv cannot be read as CSV \(.*line 3.*damaged"),
    (raw("t.csv", b"a,b\n\xff\xfe,1\n"), {}, CorruptFileError, r"t\.csv cannot be read as CSV \(.*utf-8"),
    (raw("t.parquet", b"nonsense"), {}, CorruptFileError, r"t\.parquet cannot be read as PARQUET \("),
    (cut(parquet(f=list(range(1000)))), {}, CorruptFileError, r"t\.parquet cannot be read as PARQUET \("),
    (parquet(f=pa.array([], pa.float32())), {}, LongwayError, r"t\.parquet has no rows"),
    (
        raw("t.xlsx", b"x"),
        {},
        LongwayError,
        r"t\.xlsx .* cannot be read \(\.xlsx\): give an image folder",
    ),
    (empty_folder, {}, LongwayError, r"the folder .*empty has neither images, nor CSV"),
    (csv(), {"hf_split": "train"}, LongwayError, r"hf_split='train' is for Hugging Face datasets, but .*t\.csv"),
    (saved(train=[1], more=[2]), {}, LongwayError, r"has the splits train, more: choose one of them with hf_split="),
    (saved(train=[1]), {"hf_split": "trian"}, LongwayError, r"no split 'trian' \(hf_split\); did you mean 'train'"),
    # columns
    (csv(), {"label": "z"}, LongwayError, r"t\.csv has no column 'z' \(label\); Known: y, site, part, f0"),
    (csv(), {"label": "y", "split": "prt"}, LongwayError, r"no column 'prt' \(split\); did you mean 'part'\?"),
    (csv(), {"label": "y", "attributes": ["sit"]}, LongwayError, r"'sit' \(attribute\); did you mean 'site'\?"),
    (csv(), {"label": "y", "attributes": "y"}, LongwayError, r"'y' is named both as label and as attribute"),
    (
        csv(y=["a", None, "b"]),
        {"label": "y"},
        LongwayError,
        r"'y' \(label\) .*1 missing value, the first in row 1",
    ),
    (
        csv(y=[1, np.nan, np.nan]),
        {"label": "y"},
        LongwayError,
        r"'y' \(label\).* 2 missing values, the first in row 1",
    ),
    (parquet(y=[1.0, float("nan")], f=[1, 2]), {"label": "y"}, LongwayError, r"1 missing value, the first in row 1"),
    (parquet(y=["a", " "], f=[1, 2]), {"label": "y"}, LongwayError, r"1 missing value, the first in row 1: fill"),
    (parquet(y=pa.nulls(2), f=[1, 2]), {"label": "y"}, LongwayError, r"2 missing values, the first in row 0"),
    (
        csv(y=[0.5, 1, 2]),
        {"label": "y"},
        LongwayError,
        r"'y' \(label\) .* holds real numbers: cut them",
    ),
    (
        parquet(y=[[1], [2]], f=[1, 2]),
        {"label": "y"},
        LongwayError,
        r"holds list<.* must be strings or integers",
    ),
    (
        csv(site=[1, None, 3]),
        {"label": "y", "attributes": "site"},
        LongwayError,
        r"'site' \(attribute\).*1 missing",
    ),
    (csv(site=[1, None, 3]), {"label": "y", "group": "site"}, LongwayError, r"'site' \(group\) .* 1 missing value"),
    # splits
    (csv(part=["train", "x", "y"]), {"split": "part"}, LongwayError, r"split column 'part' holds 'x', 'y': only train"),
    (csv(part=[0, 1, 1]), {"split": "part"}, LongwayError, r"has only the numbers 0 and 1, which may mean anything"),
    (csv(), {"split": "part", "split_by": "site"}, LongwayError, r"split= and split_by= were both given"),
    (csv(), {"label": "y", "input": "f0", "fractions": (1, 1, 1)}, LongwayError, r"fractions=\(1.0, 1.0, 1.0\) cannot"),
    (csv(), {"split_by": "site", "fractions": None}, LongwayError, r"split_by='site' needs fractions="),
    (csv(), {"limit": 0}, LongwayError, r"limit=0 must be at least 1"),
    # inputs
    (csv(f0=[1, None, 3]), {"label": "y", "split": "part"}, LongwayError, r"'f0' \(input\) .* has no value in row 1"),
    (csv(), {"label": "f0", "attributes": "site"}, LongwayError, r"several columns of texts \(y, part\): choose one"),
    (csv(), {"input": "g"}, LongwayError, r"has no column 'g' \(input\); Known"),
    (csv(), {"input": "g*"}, LongwayError, r"no column of .* matches input='g\*'; it has y, site, part, f0"),
    (csv(), {"input": "f0", "label": "f0"}, LongwayError, r"'f0' of .* cannot be an input: it has another role"),
    (csv(), {"input": ["f0", "y"]}, LongwayError, r"'y' \(input\) .* does not hold numbers: several inputs must all"),
    (parquet(y=["a"]), {"label": "y"}, LongwayError, r"no column left for the inputs: name one with input="),
    (
        parquet(a=["x.png"], b=["y.jpg"]),
        {},
        LongwayError,
        r"several columns of images \(a, b\): choose one",
    ),
    (parquet(a=[[1.0], [1.0, 2.0]]), {}, LongwayError, r"row 1 has 2 numbers, row 0 has 1; all lists must be equally"),
    (parquet(a=[[1.0], None]), {}, LongwayError, r"row 1 has 0 numbers, row 0 has 1"),
    (parquet(a=[[1.0, 2.0], [1.0, None]]), {}, LongwayError, r"'a' \(input\) .* lacks a number in row 1"),
    (
        parquet(a=pa.array([[], []], pa.list_(pa.float32())), y=[1, 2]),
        {"label": "y"},
        LongwayError,
        r"row 0 has 0 numbers",
    ),
    (parquet(a=[[[1]], [[2]]]), {"input": "a"}, LongwayError, r"inputs are images, texts, numbers or lists of numbers"),
    # separators, marks and types of CSV
    (raw("t.csv", b"y;f\na;1,5\nb;2\n"), {"label": "z"}, LongwayError, r"no column 'z' \(label\); Known: y, f"),
    (
        raw("t.csv", b"y;f;g\na;1,5;1.5\nb;2,5;2.5\n"),
        {},
        LongwayError,
        r"decimal commas in column 'f' .* points in .*'g'",
    ),
    (raw("t.csv", b"sep=;\ny;f\na;1\n"), {"label": "z"}, LongwayError, r"no column 'z' \(label\); Known: y, f"),
    (raw("t.csv", b"y\tf\na\t1\n"), {"label": "z"}, LongwayError, r"no column 'z' \(label\); Known: y, f"),
    (raw("t.tsv", b"y,f\na,1\n"), {"label": "z"}, LongwayError, r"no column 'z' \(label\); Known: y, f"),
    (raw("t.csv", b"\xef\xbb\xbfy,f\na,1\n"), {"label": "z"}, LongwayError, r"no column 'z' \(label\); Known: y, f"),
    (raw("t.csv", "y,f\na,1\n".encode("utf-16")), {"label": "z"}, LongwayError, r"no column 'z' .*; Known: y, f"),
    (raw("t.csv", b"y,f\n,1\nNone,2\n"), {"label": "y"}, LongwayError, r"'y' .* 1 missing value, the first in row 0"),
    (raw("t.csv", b"y,f\na,NA\nb,2\n"), {"label": "y"}, LongwayError, r"'f' \(input\) .* has no value in row 0"),
    (raw("t.csv", b"y,f\na,null\nb,2\n"), {"label": "y"}, LongwayError, r"'f' \(input\) .* has no value in row 0"),
    (raw("t.csv", b"y,f,t\na,1,01\nb,2,02\n"), {"input": ["f", "t"]}, LongwayError, r"'t' .* does not hold numbers"),
    (raw("t.csv", b'y,f,t\na,1,"1,234"\n'), {"input": ["f", "t"]}, LongwayError, r"'t' .* does not hold numbers"),
    (
        parts(train=b"f,y\n1,a\n", codebook=b"code,x\n1,2\n"),
        {},
        LongwayError,
        r"codebook\.csv has other columns than the",
    ),
    (
        parts(train=b"f,y\n1,a\n", test=b"f;y\n1;a\n"),
        {},
        LongwayError,
        r"differ in separator, encoding or decimal mark",
    ),
    (parquet(y=[1e300, 5.0], f=[1, 2]), {"label": "y"}, LongwayError, r"real numbers above 2\^53, which are not exact"),
    (parquet(y=[-(2.0**60), 5.0], f=[1, 2]), {"label": "y"}, LongwayError, r"real numbers above 2\^53"),
    (parquet(y=[2**60 + 0.0], f=[1]), {"group": "y"}, LongwayError, r"'y' \(group\) .* real numbers above 2\^53"),
    # parts and folders
    (csv(part=["train", "val", "id_test"]), {"split": "part"}, LongwayError, r"'part' holds 'id_test': only train"),
    (
        csv(part=["test", "id_val", "x"]),
        {"split": "part"},
        LongwayError,
        r"'part' holds 'id_val', 'x': only train, val",
    ),
    (saved(train=[1], extra=[2], val=[1]), {}, LongwayError, r"has the splits train, extra, val: choose one of them"),
    (
        folder("metadata.csv", b"file_name,y\nx.png,a\n"),
        {"label": "z"},
        LongwayError,
        r"no column 'z' \(label\); Known",
    ),
    (folder("metadata.csv", b"f;y\n1;a\n"), {"label": "z"}, LongwayError, r"no column 'z' \(label\); Known: f, y"),
    (folder("notes.txt", b"x"), {}, LongwayError, r"has neither images, nor CSV or Parquet files"),
    (folder(".hidden.png", b"x"), {}, LongwayError, r"has neither images, nor CSV or Parquet files"),
    (folder("__MACOSX/x.png", b"x"), {}, LongwayError, r"has neither images, nor CSV or Parquet files"),
    # npz
    (raw("t.npz", b"nonsense"), {}, CorruptFileError, r"t\.npz cannot be read as npz \(.*damaged"),
    (cut(BIG), {}, CorruptFileError, r"t\.npz cannot be read as npz"),
    (flipped(BIG), {}, CorruptFileError, r"t\.npz cannot be read as npz \(Bad CRC"),
    (encrypted(npz(X=np.zeros((3, 2)))), {}, CorruptFileError, r"t\.npz cannot be read as npz \(.*encrypted"),
    (
        npz(X=np.zeros((3, 2)), y=np.zeros(4)),
        {},
        LongwayError,
        r"differ in length: 'y' \(label\) has 4 rows, the inputs",
    ),
    (
        npz(X=np.zeros((3, 2)), z=np.zeros(4)),
        {"label": "z"},
        LongwayError,
        r"differ in length: 'z' \(label\) has 4 rows",
    ),
    (npz(X=np.zeros((3, 2)), y=OBJECTS), {}, LongwayError, r"array 'y' \(label\) of .* holds Python objects, .* never"),
    (npz(X=OBJECTS), {}, LongwayError, r"array 'X' of .* holds Python objects"),
    (npz(Z=np.zeros((3, 2))), {}, LongwayError, r"no array 'X' for the inputs; Known: Z; choose one with input="),
    (npz(X=np.zeros((3, 2))), {"input": "Z"}, LongwayError, r"no array 'Z' for the inputs"),
    (npz(X=np.zeros(3)), {}, LongwayError, r"array 'X' of .* has the shape \(3,\): give features \(n, d\)"),
    (npz(X=np.zeros((3, 4, 4, 5))), {}, LongwayError, r"has the shape \(3, 4, 4, 5\).* with 1 or 3 channels"),
    (npz(X=np.array([["a"]])), {}, LongwayError, r"holds <U1 values: inputs must be numbers"),
    (npz(X=np.zeros((3, 2)), z=OBJECTS), {"label": "z"}, LongwayError, r"'z' \(label\) of .* holds Python objects"),
    (npz(X=np.zeros((3, 2)), z=np.ones(3) * 1j), {"label": "z"}, LongwayError, r"'z' \(label\) .* holds complex128"),
    (
        npz(X=np.zeros((3, 2)), z=np.zeros(3, "i4,f4")),
        {"group": "z"},
        LongwayError,
        r"'z' \(group\) .* holds .* values",
    ),
    (npz(X=np.zeros((3, 2)), z=OBJECTS), {"split": "z"}, LongwayError, r"'z' \(split\) of .* holds Python objects"),
    (npz(X=np.ones((3, 2)) * 1j), {}, LongwayError, r"holds complex128 values: inputs must be numbers"),
    (npz(X=np.zeros((3, 2)), y=np.array([1, 2, 2**60], "f8")), {}, LongwayError, r"real numbers above 2\^53"),
    (npz(X=np.zeros((3, 2)), y=np.array([b"a", b"", b"b"])), {}, LongwayError, r"'y' \(label\) .* 1 missing value"),
    (npz(X=np.zeros((0, 2))), {}, LongwayError, r"t\.npz has no rows in 'X'"),
    (npz(X=np.zeros((3, 2)), y=[0, 1, np.nan]), {}, LongwayError, r"'y' \(label\) .* has 1 missing value"),
]


@pytest.mark.parametrize(("make", "options", "kind", "message"), TABLE, ids=range(len(TABLE)))
def test_one_clear_line(tmp_path, capsys, make, options, kind, message):
    source = make(tmp_path)
    capsys.readouterr()
    with pytest.raises(kind, match=message) as caught:
        read(source, **options)
    assert "\n" not in str(caught.value)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_a_near_name_is_offered(tmp_path):
    csv()(tmp_path)
    with pytest.raises(LongwayError, match=r"there is no file or folder .*tt\.csv; did you mean 't\.csv'\?"):
        read(tmp_path / "tt.csv")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([b"nonsense", b"x"], r"row 0 of column 'photo' in .*t\.parquet is not an image that can be decoded"),
        ([None, b"x"], r"row 0 of column 'photo' in .*t\.parquet has no image"),
        (["gone.png", "gone.png"], r"row 0 of column 'photo' in .* names .*gone\.png, which is missing"),
    ],
)
def test_images_that_do_not_decode(tmp_path, values, message):
    kind = pa.string() if isinstance(values[0], str) else pa.binary()
    path = parquet(photo=pa.array(values, kind))(tmp_path)
    with pytest.raises(CorruptFileError, match=message):
        read(path).X[:]


OUTSIDE = r"row 0 of column 'photo' in .* names .*secret\.png, which is outside the data's folder .*allow_outside=True"


@pytest.mark.parametrize("form", ["text", "struct", "file_name", "absolute", "backslashes"])
def test_files_outside_the_folder_are_refused(tmp_path, form):
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    (tmp_path / "d").mkdir()
    name = {"absolute": str(tmp_path / "secret.png"), "backslashes": "..\\secret.png"}.get(form, "../secret.png")
    if form == "file_name":
        (tmp_path / "d" / "metadata.csv").write_text(f"file_name,y\n{name},a\n")
    else:
        value = {"bytes": None, "path": name} if form == "struct" else name
        pq.write_table(pa.table({"photo": [value], "y": ["a"]}), tmp_path / "d" / "t.parquet")
    source = tmp_path / "d" if form == "file_name" else tmp_path / "d" / "t.parquet"
    message = OUTSIDE.replace("photo", "image") if form == "file_name" else OUTSIDE
    for call in (lambda X: X[0], lambda X: list(X.sizes()), lambda X: X.content_hash()):
        with pytest.raises(LongwayError, match=message):
            call(read(source, label="y").X)
    assert read(source, label="y", allow_outside=True).X[0].size == (4, 4)
    assert read(source, label="y", allow_outside=True).take([0]).X[0].size == (4, 4)


def test_a_link_that_the_user_made_is_followed(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.png").symlink_to(tmp_path / "x.png")
    assert read(tmp_path / "d").X[0].size == (4, 4)


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX", "TGA"])
def test_only_stated_formats_are_opened(tmp_path, kind):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png", format=kind)
    with pytest.raises(CorruptFileError, match=r"row 0 of column 'image' .* is not an image that can be decoded"):
        read(tmp_path).X[0]


def test_the_pixel_limit_is_stated(tmp_path, monkeypatch):
    Image.new("RGB", (40, 40)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(CorruptFileError, match=r"\(40 x 40 pixels, more than the 1,000 that are read\)"):
            read(tmp_path).X[0]


def test_an_image_cut_short_is_named_by_its_row_in_the_source(image_folder):
    path = image_folder / "b" / "test_3.png"
    path.write_bytes(path.read_bytes()[:50])
    data = read(image_folder, label="bird", split="split").take([3, 1])
    with pytest.raises(CorruptFileError, match=r"row 3 of column 'image' .*\(.*test_3\.png\) is not an image"):
        data.X[0]


def test_a_text_that_is_missing(tmp_path):
    data = read(parquet(t=["a", None, "b"])(tmp_path))
    assert data.X[0] == "a"
    with pytest.raises(LongwayError, match=r"row 1 of column 't' in .* has no text"):
        data.X[:]


def test_one_class_is_allowed_at_reading(tmp_path):
    assert set(read(csv(y=["a"] * 3)(tmp_path), label="y", input="f0").y) == {"a"}


def test_a_full_disk_while_reading(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(datasets, "load_dataset", full)
    with pytest.raises(LongwayError, match=r"no space left to write .*datasets, where .*t\.csv is unpacked: free some"):
        read(csv()(tmp_path))
