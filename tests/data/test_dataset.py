"""GroupedDataset: groups, parts, subsets, fingerprints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longway.data import GroupedDataset, name_groups
from longway.data.dataset import take_rows
from longway.utils import storage
from longway.utils.errors import LongwayError


def small(**changes) -> GroupedDataset:
    given_ = {
        "X": np.arange(8.0).reshape(4, 2),
        "y": np.array(["a", "b", "a", "b"]),
        "attributes": {"place": np.array([0, 0, 1, 1])},
        "split": np.array(["train", "train", "test", "train"]),
        "label": "animal",
    }
    return GroupedDataset(**{**given_, **changes})


def test_groups_are_label_times_attributes():
    assert small().groups.tolist() == [f"animal={y}, place={p}" for y, p in zip("abab", [0, 0, 1, 1], strict=True)]
    assert small(groups=np.array(list("xxyy"))).groups.tolist() == list("xxyy")
    assert small(attributes={}).groups is None
    assert small(y=None).groups is None


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(0, 2)), min_size=1, max_size=20))
def test_group_names_are_those_a_loop_would_write(rows):
    columns = dict(zip(("y", "s", "t"), map(np.array, zip(*rows, strict=True)), strict=True))
    assert name_groups(columns).tolist() == [f"y={y}, s={s}, t={t}" for y, s, t in rows]


def test_parts():
    data = small()
    assert data.parts == {"train": 3, "test": 1}
    part = data.part("training")
    assert part.X.tolist() == [[0, 1], [2, 3], [6, 7]]
    assert part.ids.tolist() == [0, 1, 3]
    assert part.attributes["place"].tolist() == [0, 0, 1]
    assert part.groups[2] == "animal=b, place=1"


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (small(), "val", r"no row of memory is in the part 'val' \(it has train, test\)"),
        (small(), "tset", r"no part 'tset' in a split; did you mean 'test'\?"),
        (small(split=None), "train", "memory has no split: name its column with split="),
    ],
)
def test_parts_that_are_not_there(data, name, message):
    with pytest.raises(LongwayError, match=message):
        data.part(name)


@pytest.mark.parametrize("name", ["y", "groups", "split", "ids"])
def test_lengths_must_agree(name):
    with pytest.raises(LongwayError, match=f"'{name}' has 3 rows but X has 4"):
        small(**{name: np.array(["a"] * 3)})
    with pytest.raises(LongwayError, match="'place' has 2 rows but X has 4"):
        small(attributes={"place": np.zeros(2)})


def test_take_by_positions_and_mask():
    data = small()
    np.testing.assert_array_equal(data.take([3, 1]).y, ["b", "b"])
    np.testing.assert_array_equal(data.take([True, False, False, True]).ids, [0, 3])
    assert len(data.take([])) == 0


def test_kind_follows_the_shape():
    assert small().kind == "features"
    assert GroupedDataset(np.zeros((2, 3, 4, 4))).kind == "images"
    assert "2 images" in repr(GroupedDataset(np.zeros((2, 3, 4, 4))))


def test_fingerprints_follow_the_content():
    data = small()
    assert data.fingerprint == small(source="elsewhere").fingerprint
    assert data.input_fingerprint == small(y=None).input_fingerprint
    others = [small(y=np.array(list("bbbb"))), small(split=None), small(X=np.zeros((4, 2))), small(attributes={})]
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_large_choices_from_a_memmap_never_come_to_memory(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.arange(20_000.0).reshape(10_000, 2))
    X = np.load(tmp_path / "x.npy", mmap_mode="r")
    view = take_rows(X, np.arange(10, 20))
    assert np.shares_memory(view, X)
    monkeypatch.setenv("LONGWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(storage, "IN_MEMORY_BYTES", 1000)
    odd = np.arange(1, 10_000, 2)
    taken = take_rows(X, odd)
    assert isinstance(taken, np.memmap)
    np.testing.assert_array_equal(taken, np.asarray(X)[odd])
    assert take_rows(X, np.array([], dtype=int)).shape == (0, 2)
