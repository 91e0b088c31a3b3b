"""Data are made once, kept whole, and read memory-mapped."""

import numpy as np
import pytest

from longway import CorruptFileError, LongwayError
from longway.bench import prepared
from longway.bench.own import OwnData
from longway.bench.prepared import data_spec, prepare

SMALL = {"n": 200, "n_val": 100, "n_test": 100}


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(prepared, "_KEPT", {})


def test_built_once_and_read_from_the_map(monkeypatch):
    spec = data_spec("planted", SMALL, None)
    first = prepare(spec, 0)
    train, val = first.for_training("as_train")
    assert isinstance(train.X, np.memmap)
    assert (len(train), len(val)) == (200, 100)
    assert sum(first.train_counts.values()) == 200
    assert set(first.tests()) == {"test"}
    prepared._KEPT.clear()
    monkeypatch.setattr(prepared, "_build", lambda *_: pytest.fail("built again"))
    assert prepare(spec, 0).hash == first.hash
    with pytest.raises(pytest.fail.Exception):
        prepare(spec, 1)


def test_seeds_differ_and_titles_do_not_matter():
    spec = data_spec("planted", SMALL, None)
    assert prepare(spec, 0).hash != prepare(spec, 1).hash
    assert data_spec("planted", SMALL, None, "other").key == spec.key
    assert data_spec("planted", {**SMALL, "n": 201}, None).key != spec.key
    assert spec.title == "planted (n=200, n_val=100, n_test=100)"


def test_features_of_an_ordinary_network():
    spec = data_spec("digits", {"copies": 1}, {"epochs": 1})
    train, _ = prepare(spec, 0).for_training("as_train")
    assert train.X.shape[1:] == (128,)
    images, _ = prepare(data_spec("digits", {"copies": 1}, None), 0).for_training("as_train")
    np.testing.assert_array_equal(train.y, images.y)
    np.testing.assert_array_equal(train.groups, images.groups)
    with pytest.raises(LongwayError, match="ERM has no parameter 'epoch'"):
        data_spec("digits", {}, {"epoch": 1})


def test_inferred_groups_follow_the_shortcut():
    data = prepare(data_spec("planted", {"n": 1500, "correlation": 0.9}, None), 0)
    _, val = data.for_training("as_train")
    inferred = data.inferred("as_train")
    both = {(a, b) for a, b in zip(val.groups.tolist(), inferred.tolist(), strict=True)}
    agreement = sum(max(np.mean((val.groups == g) & (inferred == i)) for _, i in both) for g in np.unique(val.groups))
    assert agreement > 0.95


def test_a_damaged_cache_is_named():
    spec = data_spec("planted", SMALL, None)
    prepare(spec, 0)
    prepared._KEPT.clear()
    folder = prepared.cache_root() / "bench" / spec.key / "0"
    (folder / "train.X.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(CorruptFileError, match="is damaged: delete it, and it is made again"):
        prepare(spec, 0)


def test_own_data_stay_where_they_are(own_data):
    spec = data_spec("data", own_data, None)
    data = prepare(spec, 0)
    assert [len(part) for part in data.for_training("as_train")] == [200, 200]
    balanced = data.for_training("balanced")[1]
    assert len(set(np.unique(balanced.groups, return_counts=True)[1].tolist())) == 1
    assert not (prepared.cache_root() / "bench").exists()
    with pytest.raises(LongwayError, match="benchmark data needs a source"):
        OwnData()


@pytest.mark.filterwarnings("ignore:.*is not used, and a split is drawn")
def test_an_empty_part_is_named(own_data):
    given = {name: value for name, value in own_data.items() if name != "split"}
    spec = data_spec("data", {**given, "fractions": [0.8, 0.0, 0.2]}, None)
    with pytest.raises(LongwayError, match=r"no row of .* is in the part 'val'"):
        prepare(spec, 0)
