"""Feature folders: computing, resuming, reading and rejecting them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from longway.backbones import load_backbone
from longway.backbones.embed import embed, open_features
from longway.data import GroupedDataset, read
from longway.utils.errors import CorruptFileError, LongwayError, LongwayWarning


class Net(nn.Module):
    """Counts its calls; deterministic weights."""

    def __init__(self, width: int = 4, scale: float = 1.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1)
        self.calls = 0
        with torch.no_grad():
            self.conv.weight.copy_(scale * torch.arange(3.0 * width).reshape(width, 3, 1, 1) / 10)
            self.conv.bias.zero_()

    def forward(self, x):
        self.calls += 1
        return self.conv(x)


@pytest.fixture
def photos(tmp_path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(11):
        Image.new("RGB", (6, 4), (20 * i, 0, 255 - 20 * i)).save(root / f"{i:02}.png")
    rows = {
        "file_name": [f"{i:02}.png" for i in range(11)],
        "bird": ["land", "water"] * 5 + ["land"],
        "place": [i // 4 for i in range(11)],
        "part": ["train"] * 6 + ["val"] * 2 + ["test"] * 3,
    }
    pd.DataFrame(rows).to_csv(root / "metadata.csv", index=False)
    return root


def backbone(**options):
    return load_backbone(Net(**options), size=4, device="cpu")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_features_are_those_of_the_bare_backbone(tmp_path, photos, dtype):
    data = read(photos, label="bird", attributes="place", split="part")
    made = embed(data, backbone(), out=tmp_path / "cache", dtype=dtype, batch_size=3, verbose=0)
    wanted = backbone().embed(data.X[:]).numpy()
    np.testing.assert_allclose(made.X, wanted, rtol=1e-3 if dtype == "float16" else 1e-5, atol=1e-5)
    assert isinstance(made.X, np.memmap)
    assert made.X.dtype == dtype
    assert not made.X.flags.writeable
    assert made.kind == "features"
    assert names(tmp_path / "cache") == ["features.npy", "meta.json", "rows.parquet"]
    np.testing.assert_array_equal(np.load(tmp_path / "cache" / "features.npy"), made.X)
    for name in ("y", "groups", "split", "ids"):
        np.testing.assert_array_equal(getattr(made, name), getattr(data, name))


def test_labels_are_chosen_when_the_cache_is_read(tmp_path, photos):
    embed(read(photos), backbone(), out=tmp_path / "cache", verbose=0)
    data = read(photos, label="bird", attributes="place", split="part")
    for again in (
        read(tmp_path / "cache", label="bird", attributes="place", split="part"),
        open_features(tmp_path / "cache", label="bird", attributes=["place"], split="part"),
    ):
        for name in ("y", "groups", "split", "ids"):
            np.testing.assert_array_equal(getattr(again, name), getattr(data, name))
        assert again.attributes["place"].tolist() == data.attributes["place"].tolist()
    assert open_features(tmp_path / "cache").y is None
    other = open_features(tmp_path / "cache", label="place", split_by="bird")
    assert other.y.tolist() == [i // 4 for i in range(11)]
    assert len(other.part("train").X) == other.parts["train"]


def test_labels_and_splits_of_the_source_are_stored(tmp_path, photos):
    (photos / "metadata.csv").unlink()
    for i in range(11):
        folder = photos / ("test" if i % 2 else "train") / "ab"[i // 6]
        folder.mkdir(parents=True, exist_ok=True)
        (photos / f"{i:02}.png").rename(folder / f"{i:02}.png")
    data = read(photos)
    embed(data, backbone(), out=tmp_path / "cache", verbose=0)
    again = open_features(tmp_path / "cache")
    assert again.y.tolist() == data.y.tolist()
    assert again.parts == {"train": 6, "test": 5}
    assert again.ids.tolist() == data.ids.tolist()


def test_data_made_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    data = GroupedDataset(
        rng.random((9, 3, 5, 5), dtype=np.float32),
        np.arange(9) % 2,
        attributes={"colour": np.array(list("rgbrgbrgb"))},
        split=np.array(["train", "val", "test"] * 3),
    )
    made = embed(data, backbone(), out=tmp_path / "cache", verbose=0)
    again = open_features(tmp_path / "cache", attributes="colour")
    assert again.y.tolist() == made.y.tolist()
    assert again.groups.tolist() == data.groups.tolist()
    assert again.parts == data.parts


def test_texts(tmp_path):
    class Encoder:
        fingerprint = "v1"

        def encode(self, texts):
            return torch.tensor([[float(len(text)), 1.0] for text in texts])

    pd.DataFrame({"text": ["x" * i for i in range(1, 200)], "y": 1}).to_csv(tmp_path / "t.csv", index=False)
    data = read(tmp_path / "t.csv", label="y")
    made = embed(data, load_backbone(Encoder(), device="cpu"), out=tmp_path / "cache", verbose=0)
    assert made.X[:, 0].tolist() == list(range(1, 200))


def test_the_same_key_computes_nothing_and_another_is_refused(tmp_path, photos):
    data, out = read(photos), tmp_path / "cache"
    embed(data, backbone(), out=out, verbose=0)
    before = (out / "features.npy").stat().st_mtime_ns
    same = backbone()
    embed(read(photos, label="bird"), same, out=out, verbose=0)
    assert same.module.calls == 0
    assert (out / "features.npy").stat().st_mtime_ns == before
    for other in (
        {"backbone": backbone(scale=2.0)},
        {"backbone": backbone().sized(5)},
        {"dtype": "float32"},
        {"dataset": data.take(range(5))},
    ):
        options = {"dataset": data, "backbone": backbone(), "out": out, "verbose": 0, **other}
        with pytest.raises(LongwayError, match=r"holds features of other inputs, .*overwrite=True to replace them"):
            embed(**options)
        embed(**options, overwrite=True)
        embed(data, backbone(), out=out, overwrite=True, verbose=0)


def test_the_default_folder_is_named_by_the_key(tmp_path, photos, monkeypatch):
    monkeypatch.setenv("LONGWAY_CACHE", str(tmp_path / "root"))
    first, second, same = backbone(), backbone(scale=2.0), backbone()
    for one in (first, second, same):
        embed(read(photos), one, verbose=0)
    assert len(names(tmp_path / "root" / "features")) == 2
    assert [bool(one.module.calls) for one in (first, second, same)] == [True, True, False]
    (folder, _) = sorted((tmp_path / "root" / "features").iterdir())
    assert json.loads((folder / "meta.json").read_text())["key"] == folder.name


def test_corrected_labels_reach_the_cache_without_embedding_again(tmp_path, photos):
    embed(read(photos), backbone(), out=tmp_path / "cache", verbose=0)
    metadata = (photos / "metadata.csv").read_text()
    (photos / "metadata.csv").write_text(metadata.replace("00.png,land", "00.png,sky"))
    same = backbone()
    embed(read(photos), same, out=tmp_path / "cache", verbose=0)
    assert same.module.calls == 0
    assert open_features(tmp_path / "cache", label="bird").y[0] == "sky"


def test_the_size_is_the_images_own_or_224(tmp_path, photos):
    def size(name: str) -> object:
        embed(read(photos), load_backbone(Net(), device="cpu"), out=tmp_path / name, verbose=0)
        return json.loads((tmp_path / name / "meta.json").read_text())["backbone"]["size"]

    assert size("equal") is None
    Image.new("RGB", (9, 4)).save(photos / "10.png")
    assert size("mixed") == 224


def test_batches_run_ahead_but_not_far(tmp_path, photos):
    data = read(photos)
    decoded, ahead = [], []
    read_rows = data.X.read

    def spy(where, min_size=None):
        decoded.append(where[0])
        return read_rows(where, min_size)

    data.X.read = spy

    class Slow(Net):
        def forward(self, x):
            ahead.append(len(decoded) - len(ahead))
            return super().forward(x)

    embed(data, load_backbone(Slow(), size=4, device="cpu"), out=tmp_path / "c", batch_size=1, workers=1, verbose=0)
    assert max(ahead) <= 4
    assert sorted(decoded) == list(range(11))


def test_threads_end_when_the_backbone_fails(tmp_path, photos):
    def fail(x):
        raise ValueError("no")

    fail.fingerprint = "v1"
    with pytest.raises(LongwayError, match="backbone fail raised ValueError"):
        embed(read(photos), load_backbone(fail, size=4), out=tmp_path / "cache", batch_size=1, verbose=0)
    assert not [thread for thread in threading.enumerate() if "longway-decode" in thread.name]
    assert names(tmp_path) == ["photos"]


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "longer":
        path.write_bytes(path.read_bytes() + b"x")
    elif how == "garbage":
        path.write_bytes(b"garbage")


@pytest.mark.parametrize("how", ["missing", "cut", "longer", "garbage", "empty"])
@pytest.mark.parametrize("name", ["features.npy", "rows.parquet", "meta.json"])
def test_a_damaged_file_is_named(tmp_path, photos, name, how):
    out = tmp_path / "cache"
    embed(read(photos), backbone(), out=out, verbose=0)
    if how == "empty":
        (out / name).write_bytes(b"")
    else:
        damage(out / name, how)
    for use in (lambda: open_features(out), lambda: embed(read(photos), backbone(), out=out, verbose=0)):
        with pytest.raises(CorruptFileError, match=rf"{name}.*overwrite=True") as caught:
            use()
        assert "\n" not in str(caught.value)
    embed(read(photos), backbone(), out=out, overwrite=True, verbose=0)
    assert len(open_features(out)) == 11


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, r"meta\.json has the format 99, this version reads 1"),
        (
            {"shape": [11, 5]},
            r"features\.npy holds float16 of shape \(11, 4\), but meta\.json .*\(11, 5\)",
        ),
        ({"dtype": "float32"}, r"features\.npy holds float16"),
        ({"rows": "0"}, r"rows\.parquet is not the one that meta\.json describes"),
        ({"key": None}, r"meta\.json lacks key"),
    ],
)
def test_files_that_contradict_each_other(tmp_path, photos, change, message):
    embed(read(photos), backbone(), out=tmp_path / "cache", verbose=0)
    path = tmp_path / "cache" / "meta.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CorruptFileError, match=message):
        open_features(tmp_path / "cache")


def test_bad_calls(tmp_path, photos):
    data = read(photos)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    bad = [
        ({"dtype": "int8"}, r"dtype='int8' must be one of float16, float32"),
        ({"batch_size": 0}, r"batch_size=0 and workers=None must be at least 1"),
        ({"dataset": GroupedDataset(np.zeros((3, 2)))}, r"memory holds features already"),
        ({"dataset": data.take([])}, r"has no samples to embed"),
        ({"out": tmp_path / "mine", "overwrite": True}, r"mine exists and is not a feature cache: choose another"),
        ({"backbone": backbone(scale=1e6)}, r"gave features up to .*, too large for float16: use dtype='float32'"),
    ]
    for change, message in bad:
        options = {"dataset": data, "backbone": backbone(), "out": tmp_path / "cache", "verbose": 0, **change}
        with pytest.raises(LongwayError, match=message):
            embed(**options)
    assert names(tmp_path) == ["mine", "photos"]
    assert names(tmp_path / "mine") == ["thesis.tex"]
    with pytest.raises(LongwayError, match="is not a feature cache: give the folder"):
        open_features(tmp_path / "mine")


def test_a_corrupt_image_leaves_nothing(tmp_path, photos):
    (photos / "07.png").write_bytes(b"nonsense")
    data = read(photos)
    with pytest.raises(CorruptFileError, match=r"row 7 of column 'image' .*07\.png\) is not an image"):
        embed(data, backbone(), out=tmp_path / "cache", verbose=0)
    assert names(tmp_path) == ["photos"]


SCRIPT = """
import os, resource, sys, time
import numpy as np, torch
from longway.backbones import load_backbone
from longway.data import GroupedDataset
from longway.utils.errors import LongwayError
from longway.backbones.embed import embed
mode, out = sys.argv[1:]
class Net(torch.nn.Flatten):
    seen = 0
    def forward(self, x):
        self.seen += 1
        if mode == "kill" and self.seen == 5:
            print("writing", flush=True)
            time.sleep(60)
        return super().forward(x)
if mode == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
data = GroupedDataset(np.ones((100, 3, 32, 32), np.float32))
try:
    embed(data, load_backbone(Net(), device="cpu"), out=out, batch_size=10, verbose=0)
except LongwayError as error:
    print(error)
"""


def test_a_full_disk_while_embedding(tmp_path):
    pytest.importorskip("resource", reason="this system has no limits on the size of files")
    command = [sys.executable, "-c", SCRIPT, "full", str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert f"no space left to write {tmp_path / 'cache'}: free some space or choose another path" in done.stdout
    assert names(tmp_path) == []


def test_kill_9_while_embedding(tmp_path):
    command = [sys.executable, "-c", SCRIPT, "kill", str(tmp_path / "cache")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert [name.partition("-")[0] for name in names(tmp_path)] == [".cache.lock", ".cache.partial"]
    with pytest.raises(LongwayError, match="is not a feature cache"):
        open_features(tmp_path / "cache")
    data = GroupedDataset(np.ones((100, 3, 32, 32), np.float32))
    embed(data, load_backbone(nn.Flatten(), device="cpu"), out=tmp_path / "cache", verbose=0)
    assert open_features(tmp_path / "cache").X.shape == (100, 3072)
    assert names(tmp_path) == ["cache"]


class Lengths:
    """Embeds texts; calls ``stop`` before batch ``last``."""

    fingerprint = "v1"

    def __init__(self, last: int = -1, stop: Callable[[], object] = lambda: None) -> None:
        self.batches, self.last, self.stop = 0, last, stop

    def encode(self, texts):
        if self.batches == self.last:
            self.stop()
        self.batches += 1
        return torch.tensor([[len(text), text.count("a"), 0.1 * len(text)] for text in texts])


def embed_lengths(folder: Path, name: str = "cache", last: int = -1, stop: Callable[[], object] = lambda: None) -> int:
    """Embed 95 texts, ten at a time; return the number of batches that it took."""
    encoder = Lengths(last, stop)
    data = read(folder / "t.csv", input="text")
    embed(data, load_backbone(encoder, device="cpu"), out=folder / name, batch_size=10, verbose=0)
    return encoder.batches


@pytest.fixture
def texts(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("longway.utils.resumable_npy.SAVE_SECONDS", 0)
    pd.DataFrame({"text": ["a" * (i % 7) + "b" * i for i in range(1, 96)]}).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


def same_as_uninterrupted(folder: Path) -> bool:
    embed_lengths(folder, "whole")
    return (folder / "cache" / "features.npy").read_bytes() == (folder / "whole" / "features.npy").read_bytes()


KILLED = """
import os, signal, sys
from pathlib import Path
import longway.utils.resumable_npy
from test_embed import embed_lengths
longway.utils.resumable_npy.SAVE_SECONDS = 0
embed_lengths(Path(sys.argv[1]), last=4, stop=lambda: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_killed_embedding_resumes(texts):
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(texts)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = texts.glob(".cache.partial-*")
    with (left / "features.npy").open("ab") as file:  # a row that was being written
        file.write(b"half")
    with pytest.raises(LongwayError, match="is not a feature cache"):
        open_features(texts / "cache")
    assert embed_lengths(texts) == 6
    assert names(texts) == ["cache", "t.csv"]
    assert names(texts / "cache") == ["features.npy", "meta.json", "rows.parquet"]
    assert same_as_uninterrupted(texts)
    assert embed_lengths(texts) == 0


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["flipped", "cut", "missing", "garbage", "no journal", "nothing"])
def test_the_leftovers_of_an_interrupt_are_checked(texts, how):
    with pytest.raises(KeyboardInterrupt):
        embed_lengths(texts, last=4, stop=interrupt)
    (left,) = texts.glob(".cache.partial-*")
    path = left / ("progress.json" if how in ("garbage", "no journal") else "features.npy")
    content = path.read_bytes()
    if how in ("missing", "no journal"):
        path.unlink()
    else:
        flipped = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
        path.write_bytes({"flipped": flipped, "cut": content[:-1], "garbage": b"{"}.get(how, content))
    assert embed_lengths(texts) == (6 if how == "nothing" else 10)
    assert same_as_uninterrupted(texts)


def test_an_interrupt_before_the_first_batch_leaves_nothing(texts):
    with pytest.raises(KeyboardInterrupt):
        embed_lengths(texts, last=0, stop=interrupt)
    assert names(texts) == ["t.csv"]


def test_leftovers_of_another_key_are_deleted(tmp_path, photos):
    (tmp_path / ".cache.partial-0123").mkdir()
    (tmp_path / ".cache2.partial-0123").mkdir()
    embed(read(photos), backbone(), out=tmp_path / "cache", verbose=0)
    assert names(tmp_path) == [".cache2.partial-0123", "cache", "photos"]


def test_two_at_once_embed_only_once(tmp_path, photos):
    nets = [backbone(), backbone()]
    data = [read(photos), read(photos)]
    threads = [
        threading.Thread(target=embed, args=pair, kwargs={"out": tmp_path / "cache", "batch_size": 1, "verbose": 0})
        for pair in zip(data, nets, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(net.module.calls for net in nets) == [0, 11]
    assert names(tmp_path) == ["cache", "photos"]


def test_celeba_through_mobilenet(tmp_path, shared_data):
    data = read(shared_data / "celeba_10k_64px.parquet", label="Smiling", attributes="Male", limit=96)
    net = load_backbone(f"{shared_data / 'mobilenet_v2.py'}:load", size=64, mean=0.5, std=0.5, device="cpu")
    made = embed(data, net, out=tmp_path / "cache", batch_size=32, verbose=0)
    assert made.X.shape == (96, 1280)
    again = read(tmp_path / "cache", label="Blond_Hair", attributes="Male", split_by="identity")
    assert len(np.unique(again.groups)) >= 3
    assert again.ids.tolist() == data.ids.tolist()


class FailedError(RuntimeError):
    """The encoder's own error."""


def fail() -> None:
    raise FailedError("out of luck")


def test_an_error_keeps_what_is_done(texts):
    with pytest.raises(LongwayError, match="out of luck"):
        embed_lengths(texts, last=4, stop=fail)
    assert embed_lengths(texts) == 6
    assert same_as_uninterrupted(texts)


@pytest.mark.parametrize("broken", [(0,), (7, 8, 23), (20, 21, 22, 23, 24)])
def test_unreadable_images_are_left_out_and_listed(tmp_path, broken):
    (tmp_path / "p").mkdir()
    for i in range(40):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "p" / f"{i:02}.png")
    good = read(tmp_path / "p").take(np.delete(np.arange(40), broken))
    wanted = embed(good, backbone(), out=tmp_path / "good", batch_size=5, verbose=0).X
    for i in broken:
        (tmp_path / "p" / f"{i:02}.png").write_bytes(b"nonsense")
    options = {"out": tmp_path / "cache", "batch_size": 5, "verbose": 0}
    with pytest.raises(CorruptFileError, match=r"at least \d of 40 images cannot be read, more than max_skipped=0.01"):
        embed(read(tmp_path / "p"), backbone(), **options, max_skipped=0.01)
    for _ in range(2):  # computed, and found
        with pytest.warns(LongwayWarning, match=f"{len(broken)} of 40 images cannot be read and are left out"):
            found = embed(read(tmp_path / "p"), backbone(), **options, max_skipped=0.2)
        np.testing.assert_array_equal(found.X, wanted)
        assert found.ids.tolist() == good.ids.tolist()
    meta = json.loads((tmp_path / "cache" / "meta.json").read_text())
    assert [row for row, _ in meta["skipped"]] == list(broken)
    assert open_features(tmp_path / "cache").ids.tolist() == good.ids.tolist()


@pytest.mark.parametrize("max_skipped", [-0.1, 1.1, True, "a"])
def test_the_share_of_unreadable_images_is_checked(photos, max_skipped):
    with pytest.raises(LongwayError, match=r"max_skipped=.* must be a share from 0 to 1"):
        embed(read(photos), backbone(), verbose=0, max_skipped=max_skipped)
