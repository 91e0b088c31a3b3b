"""Trials survive what machines do to them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import replace

import bench_tasks
import pytest

from longway import LongwayError
from longway.bench import engine as engine_module
from longway.bench import prepared, trial
from longway.bench.engine import Engine, run, run_all
from longway.bench.frames import read_frame
from longway.bench.grids import block_grid
from longway.bench.output import compare_methods
from longway.bench.plan import read_plan
from longway.bench.results import read_results
from longway.bench.spec import DataSpec, TrialSpec
from longway.bench.store import Store
from longway.methods import ERM, METHODS
from longway.training.options import current_options

HERE = Engine(jobs=1, backend="sequential", verbose=0)
TWO = Engine(jobs=2, verbose=0)


def specs(n: int) -> dict[str, tuple[TrialSpec]]:
    made = [TrialSpec(DataSpec("data", {}), "erm", {}, seed) for seed in range(n)]
    return {spec.key: (spec,) for spec in made}


def outcome(results) -> list:
    """What a table is made from: everything but times."""
    return [(r.cell.entry.title, r.cell.seed, r.spec.key, r.supervision, r.tests["test"].metrics) for r in results]


def files(folder, kind="trials") -> dict[str, dict]:
    read = {path.name: json.loads(path.read_text()) for path in sorted((folder / kind).glob("*.json"))}
    return {name: {k: v for k, v in record.items() if k != "seconds"} for name, record in read.items()}


def test_two_processes_give_what_one_gives(plan, tmp_path):
    one, two = run(plan, tmp_path / "one", HERE), run(plan, tmp_path / "two", TWO)
    assert outcome(one) == outcome(two)
    assert len(one) == 8
    assert len(files(tmp_path / "one")) == 16
    for kind in ("trials", "tests", "data"):
        assert files(tmp_path / "one", kind) == files(tmp_path / "two", kind)


def test_nothing_is_run_twice(plan, tmp_path, monkeypatch):
    first = run(plan, tmp_path / "r", HERE)
    monkeypatch.setattr(trial, "_fit", lambda *_: pytest.fail("fitted again"))
    assert outcome(run(plan, tmp_path / "r", HERE)) == outcome(first)
    more = replace(plan, methods=plan.methods[:1])
    assert len(run(more, tmp_path / "r", HERE)) == 4


def test_a_fit_that_is_made_again_is_tested_again(plan, tmp_path):
    first = run(plan, tmp_path / "r", HERE)
    gone = tmp_path / "r" / "trials" / f"{first[0].spec.key}.json"
    stale = tmp_path / "r" / "tests" / gone.name
    record = json.loads(stale.read_text())
    gone.unlink()
    stale.write_text(json.dumps({**record, "chosen_by": {"rule": "stale"}}))
    assert outcome(run(plan, tmp_path / "r", HERE)) == outcome(first)
    assert json.loads(stale.read_text()) == record


def test_test_data_are_touched_once_and_only_for_what_was_chosen(plan, tmp_path, monkeypatch):
    asked, tests = [], prepared.Prepared.tests
    monkeypatch.setattr(prepared.Prepared, "tests", lambda self: asked.append(1) or tests(self))
    fitted, fit = [], trial._fit

    def spied(spec, data):
        before = len(asked)
        result = fit(spec, data)
        assert len(asked) == before, "a fit asked for test data"
        fitted.append(spec.key)
        return result

    monkeypatch.setattr(trial, "_fit", spied)
    results = run(plan, tmp_path / "r", HERE)
    assert len(fitted) == 16
    assert len(asked) == len({result.spec.key for result in results}) == 8
    run(plan, tmp_path / "r", HERE)
    assert len(asked) == 8


def test_the_oracle_is_called_so(record, tmp_path):
    plan = read_plan({**record, "protocol": [{"groups": "val", "settings": "oracle"}]})
    results = run(plan, tmp_path / "r", HERE)
    assert {result.supervision for result in results} == {"oracle"}
    assert len(files(tmp_path / "r", "tests")) == 8, "the oracle looks at every test"
    fair = run(read_plan(record), tmp_path / "fair", HERE)
    fair = [result for result in fair if result.cell.protocol.groups == "val"]
    for best, chosen in zip(results, fair, strict=True):
        assert best.tests["test"].metrics.worst_group_accuracy >= chosen.tests["test"].metrics.worst_group_accuracy


def test_selection_by_inferred_groups_uses_no_label(record, tmp_path):
    plan = read_plan({**record, "draws": 4, "protocol": [{"groups": "infer"}, {"groups": "none"}]})
    results = run(plan, tmp_path / "r", HERE)
    assert {result.supervision for result in results} == {"none"}
    inferred = results[0]
    assert inferred.cell.protocol.title == "inferred validation groups, worst group"
    assert len(inferred.record["validation"]["groups"]) == 4


class Broken(ERM):
    """A method that cannot be fitted."""

    def _fit(self, task):
        raise RuntimeError("no such\nluck")


def test_a_failing_trial_is_recorded_and_stops_nothing(record, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "broken", Broken)
    plan = read_plan({**record, "method": ["broken", "erm"], "baseline": "erm"})
    results = run(plan, tmp_path / "r", HERE)
    assert {result.cell.entry.method for result in results} == {"erm"}
    failed = [r for r in files(tmp_path / "r").values() if r["status"] == "failed"]
    assert failed
    assert failed[0]["error"]["message"] == "no such luck"
    assert failed[0]["error"]["type"] == "RuntimeError"
    monkeypatch.setattr(Broken, "_fit", ERM._fit)
    assert len(run(plan, tmp_path / "r", HERE)) == 4, "failures are kept"
    assert len(run(plan, tmp_path / "r", HERE, retry=True)) == 8


class Doubtful(ERM):
    """A method that warns."""

    def _fit(self, task):
        warnings.warn("few samples\nof a group", stacklevel=2)
        return super()._fit(task)


def test_what_fits_warn_of_is_recorded_and_told(record, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "doubtful", Doubtful)
    plan = read_plan({**record, "method": ["erm", {"name": "doubtful", "title": "D"}], "draws": 1})
    run(plan, tmp_path / "r", HERE)
    block = compare_methods(plan, tmp_path / "r").table.blocks[0]
    assert [line.warnings for line in block.lines] == [{}, {"few samples of a group": (0, 1)}]
    assert "D, seeds 0, 1: few samples of a group" in block_grid(block).notes
    assert json.loads(json.dumps(block.to_dict()))["methods"][1]["warnings"] == {"few samples of a group": [0, 1]}


def test_what_fits_doubt_is_recorded(record, tmp_path):
    plan = read_plan({**record, "method": ["erm", "sitarhead"], "draws": 1, "seeds": 1})
    run(plan, tmp_path / "r", HERE)
    caveats = read_frame(tmp_path / "r").set_index("method")["caveats"]
    assert caveats.iloc[0] == ""
    assert "taken for the shortcut" in caveats.iloc[1] or "ordinary" in caveats.iloc[1]


def test_one_bar_advances_with_all_workers(tmp_path, monkeypatch):
    bars = []

    @contextmanager
    def bar(description, total, *, show):
        ended = []
        bars.append((description, total, show, ended))
        yield lambda: ended.append(1)

    monkeypatch.setattr(engine_module, "progress", bar)
    for engine in (replace(TWO, verbose=1), HERE):
        store, jobs = Store.create(tmp_path / engine.backend, {}), specs(5)
        run_all(bench_tasks.well_behaved, "trials", jobs, store, engine)
    assert [(*about, len(ended)) for *about, ended in bars] == [("Trials", 5, True, 5), ("Trials", 5, False, 5)]


def test_a_dying_worker_is_found_out_and_the_rest_goes_on(tmp_path):
    store, jobs = Store.create(tmp_path / "r", {}), specs(6)
    run_all(bench_tasks.deadly, "trials", jobs, store, TWO)
    records = {jobs[key][0].seed: store.read("trials", key) for key in jobs}
    assert [records[seed]["status"] for seed in range(6)] == ["done"] * 3 + ["failed"] + ["done"] * 2
    assert "the worker died" in records[3]["error"]["message"]


def test_a_full_disk_stops_the_run(tmp_path):
    store = Store.create(tmp_path / "r", {})
    with pytest.raises(OSError, match="No space left"):
        run_all(bench_tasks.full_disk, "trials", specs(3), store, TWO)


def test_waits_for_a_trial_that_another_process_has(tmp_path):
    store, jobs = Store.create(tmp_path / "r", {}), specs(2)
    threads = [
        threading.Thread(target=run_all, args=(bench_tasks.slow, "trials", dict(jobs), store, TWO)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert store.keys("trials") == set(jobs)
    assert not list((tmp_path / "r" / "running").iterdir())


def test_a_trial_has_the_threads_of_its_specification(tmp_path):
    assert Engine(verbose=0).map(
        engine_module._work, [(bench_tasks.count_threads, 1.0, str(tmp_path), s) for (s,) in specs(2).values()], "T"
    ) == ["1", "1"]


def test_fits_run_under_the_plans_training_options(record, tmp_path, monkeypatch):
    seen = []

    def fit(spec, data):
        seen.append(current_options())
        raise RuntimeError("seen")

    monkeypatch.setattr(trial, "_fit", fit)
    plan = read_plan({**record, "seeds": 1, "training": {"mixed_precision": "bf16-mixed", "clip": 2.0}})
    spec = plan.trials(next(plan.cells()))[0]
    assert trial.fit_trial(spec, Store.create(tmp_path / "r", {})) == "failed"
    assert [(options.mixed_precision, options.clip) for options in seen] == [("bf16-mixed", 2.0)]
    assert current_options().clip is None


SCRIPT = """
import sys
from longway.bench.engine import Engine, run
from longway.bench.plan import load_plan
if __name__ == "__main__":
    run(load_plan(sys.argv[1]), sys.argv[2], Engine(jobs=2, verbose=0))
"""


def test_killed_at_any_moment_and_started_again_gives_the_same(record, tmp_path):
    lines = [f"seeds = {record['seeds']}", "draws = 4", "[[benchmark]]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in record["benchmark"][0].items()]
    for method in ("erm", "rwg"):
        lines += ["[[method]]", f'name = "{method}"', "space = {l2 = {low = 1e-4, high = 1.0, log = true}}"]
    lines += ["[[protocol]]", 'groups = "train"']
    path = tmp_path / "plan.toml"
    path.write_text("\n".join(lines))
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(path), str(tmp_path / "killed")]
    for wanted in (1, 9):
        process = subprocess.Popen(command, start_new_session=True)
        deadline = time.monotonic() + 120
        while len(list((tmp_path / "killed").glob("trials/*.json"))) < wanted and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True)
    from longway.bench.plan import load_plan

    plan = load_plan(path)
    whole = run(plan, tmp_path / "whole", TWO)
    assert outcome(read_results(plan, Store.open(tmp_path / "killed"))) == outcome(whole)
    for kind in ("trials", "tests", "data"):
        assert files(tmp_path / "killed", kind) == files(tmp_path / "whole", kind)


def test_optuna_goes_on_where_it_was(record, tmp_path):
    pytest.importorskip("optuna")
    plan = read_plan({**record, "search": "optuna", "draws": 4, "protocol": [{"groups": "train"}]})
    whole = run(plan, tmp_path / "whole", HERE)
    assert max(result.tried for result in whole) == 4
    run(replace(plan, draws=2), tmp_path / "parts", HERE)
    assert outcome(run(plan, tmp_path / "parts", HERE)) == outcome(whole)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_of_ray_gives_the_same(plan, tmp_path):
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        on_ray = run(plan, tmp_path / "ray", Engine(jobs=2, backend="ray", verbose=0))
    finally:
        ray.shutdown()
    assert outcome(on_ray) == outcome(run(plan, tmp_path / "here", HERE))


def test_other_versions_and_other_data_are_noticed(plan, own_data, tmp_path, monkeypatch):
    small = replace(plan, draws=1, seeds=(0,))
    run(small, tmp_path / "r", HERE)
    manifest = json.loads((tmp_path / "r" / "bench.json").read_text())
    manifest["versions"]["torch"] = "1.0"
    (tmp_path / "r" / "bench.json").write_text(json.dumps(manifest))
    with pytest.raises(LongwayError, match=r"made with torch 1\.0"):
        run(small, tmp_path / "r", HERE)
    run(small, tmp_path / "r", HERE, allow_changes=True)
    changed = replace(small, benchmarks=(replace(small.benchmarks[0], raw="other"),))
    with pytest.raises(LongwayError, match=r"other raw data|torch"):
        run(changed, tmp_path / "r", HERE)
