"""Result folders: whole, locked, and nobody else's."""

import json

import pytest

from longway import CorruptFileError, LongwayError
from longway.bench.devices import slot
from longway.bench.engine import Engine, run
from longway.bench.plan import read_plan
from longway.bench.results import read_results
from longway.bench.spec import DataSpec, TrialSpec
from longway.bench.store import Busy, Store

SPEC = TrialSpec(DataSpec("data", {}), "erm", {}, 0)
HERE = Engine(jobs=1, backend="sequential", verbose=0)


def test_a_claim_keeps_others_out(tmp_path):
    store = Store.create(tmp_path / "r", {})
    with store.claim(SPEC), pytest.raises(Busy), Store(tmp_path / "r").claim(SPEC):
        pass
    with store.claim(SPEC):
        pass


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(LongwayError, match="holds files that are no benchmark results"):
        Store.create(tmp_path, {})
    with pytest.raises(LongwayError, match="holds no benchmark results"):
        Store.open(tmp_path)


def test_a_folder_of_another_benchmark_is_refused(tmp_path):
    Store.create(tmp_path / "r", {"cmnist": "a"})
    Store.create(tmp_path / "r", {"cmnist": "a", "dominoes": "b"})
    with pytest.raises(LongwayError, match=r"results of another benchmark \(cmnist, dominoes\)"):
        Store.create(tmp_path / "r", {"celeba": "c"})
    with pytest.raises(LongwayError, match="results of cmnist made from other raw data"):
        Store.create(tmp_path / "r", {"cmnist": "z"})


def test_a_file_cut_short_is_named(record, tmp_path):
    plan = read_plan({**record, "draws": 1, "seeds": 1})
    run(plan, tmp_path / "r", HERE)
    for kind in ("trials", "tests", "data"):
        path = sorted((tmp_path / "r" / kind).glob("*.json"))[0]
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CorruptFileError, match=f"{path.name} is damaged or cut short: delete it"):
            read_results(plan, Store.open(tmp_path / "r"))
        path.write_text("[1]")
        with pytest.raises(CorruptFileError, match="is no record of a benchmark"):
            read_results(plan, Store.open(tmp_path / "r"))
        path.unlink()
        if kind == "data":
            path.write_bytes(whole)
        else:
            run(plan, tmp_path / "r", HERE)
            again, before = json.loads(path.read_bytes()), json.loads(whole)
            assert {**again, "seconds": 0} == {**before, "seconds": 0}, "deleted and made again"


def test_gpus_are_shared_by_places(tmp_path):
    with slot(2, 0.5, tmp_path) as a, slot(2, 0.5, tmp_path) as b, slot(2, 0.5, tmp_path) as c:
        assert (a, b, c) == (0, 1, 0)
    with slot(1, 1, tmp_path) as a:
        assert a == 0
    with pytest.raises(LongwayError, match="gpu_share=0 must be above 0"), slot(1, 0, tmp_path):
        pass
