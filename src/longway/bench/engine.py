"""Execution of a plan: every trial once, on parallel processes, robust to the death of workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import BrokenProcessPool

from longway.bench.devices import device_for
from longway.bench.plan import Cell, Plan
from longway.bench.prepared import prepare
from longway.bench.records import choose, failure
from longway.bench.results import Result, read_results
from longway.bench.search import all_trials, next_trials
from longway.bench.spec import FORMAT, DataSpec, TrialSpec
from longway.bench.store import Busy, Store, versions
from longway.bench.trial import fit_trial, reveal_trial
from longway.bench.workers import end_with_parent, settle
from longway.methods import METHODS
from longway.utils.errors import LongwayError, nearest
from longway.utils.progress import Advance, progress
from longway.utils.storage import write_json

BACKENDS = ("loky", "sequential", "ray")
CLUSTER_DEATHS = ("WorkerCrashedError", "OwnerDiedError", "NodeDiedError")
"""Exceptions that clusters raise when a worker dies."""
BUSY, LOST = "busy", "lost"


@dataclass(frozen=True)
class Engine:
    """The place where trials run.

    Parameters
    ----------
    jobs : int, default -1
        Processes; -1 is one a core. With 1 all is done in this process, which then dies with a trial that dies.
    backend : {"loky", "sequential", "ray"}, default "loky"
        Processes on this machine, this process alone, or a Ray cluster through joblib.
    address : str, optional
        Of the cluster; one is started on this machine if not given.
    gpu_share : float, default 1
        Part of a GPU that one trial takes, where trials run on one.
    verbose : int, default 1
        1 shows a progress bar over all workers.
    """

    jobs: int = -1
    backend: str = "loky"
    address: str | None = None
    gpu_share: float = 1.0
    verbose: int = 1

    def map(self, task: Callable[..., str], jobs: Sequence[tuple[Any, ...]], description: str) -> list[str]:
        """Run a task on each tuple of arguments and return the results in order; ``lost`` for a dead worker.

        Raises
        ------
        LongwayError
            A task raised one: that is a fault of the whole run, such as a full disk.
        """
        answers: list[str] = [LOST] * len(jobs)
        if not jobs:
            return answers
        with progress(description, len(jobs), show=self.verbose > 0) as advance, self._backend():
            pool = _Counted(n_jobs=self._processes(len(jobs)), batch_size=1, advance=advance)
            try:
                answers = pool(delayed(task)(*job) for job in jobs)
            except BrokenProcessPool:
                pass
            except Exception as error:
                if type(error).__name__ not in CLUSTER_DEATHS:
                    raise
        return answers

    def _processes(self, n: int) -> int:
        if self.backend == "ray" and self.jobs < 1:
            return n
        jobs = min(n, (os.cpu_count() or 1) if self.jobs < 1 else self.jobs)
        # With one, joblib would stay in this process, and a trial that dies would take it along
        return max(2, jobs) if self.backend == "loky" and self.jobs != 1 else jobs

    @contextmanager
    def _backend(self) -> Iterator[None]:
        if self.backend not in BACKENDS:
            raise LongwayError(f"backend={self.backend!r} is unknown; {nearest(self.backend, BACKENDS)}")
        if self.backend == "ray":
            _connect(self.address)
        options = {"initializer": end_with_parent} if self.backend == "loky" else {}
        with parallel_config(backend=self.backend, **options):
            yield


class _Counted(Parallel):
    """A pool that reports each finished job, on any backend."""

    def __init__(self, *, advance: Advance, **options: Any) -> None:
        super().__init__(**options)
        self._advance, self._told = advance, 0

    def print_progress(self) -> None:
        """Advance the bar by the number of newly finished jobs."""
        for _ in range(self.n_completed_tasks - self._told):
            self._advance()
        self._told = self.n_completed_tasks


def run(
    plan: Plan, folder: str | Path, engine: Engine | None = None, *, allow_changes: bool = False, retry: bool = False
) -> list[Result]:
    """Run all missing trials of a plan, test the selected ones, and return the results.

    Parameters
    ----------
    plan : Plan
    folder : str or Path
        For the results. Interrupted and started again, a run goes on where it was; several processes may share one.
    engine : Engine, optional
    allow_changes : bool, default False
        Go on in a folder whose results come from other versions of the libraries or other raw data.
    retry : bool, default False
        Run trials again that ended with an error.

    Returns
    -------
    list of Result
        One for each cell of the plan that has a fit.

    Raises
    ------
    LongwayError
        The folder belongs to something else, data cannot be made, or the disk is full.
    """
    engine = engine or Engine()
    raw = {data.title: data.raw for data in plan.benchmarks}
    store = Store.create(folder, raw, allow_changes=allow_changes)
    data = [spec.to_dict() for spec in plan.benchmarks]
    write_json(store.folder / "plan.json", {"format": FORMAT, "plan": dict(plan.source), "data": data})
    cells = _usable(plan, engine)
    if retry:
        _forget_failures(plan, cells, store)
    done = dict.fromkeys(range(len(cells)), 0)
    while True:
        waves = [(i, next_trials(plan, cell, done[i], store)) for i, cell in enumerate(cells)]
        specs = {spec.key: spec for _, wave in waves for spec in wave}
        if not specs:
            break
        todo = {key: (spec,) for key, spec in specs.items() if not store.has("trials", key)}
        run_all(fit_trial, "trials", todo, store, engine)
        for i, wave in waves:
            done[i] += len(wave)
    tests: dict[str, tuple[Any, ...]] = {}
    for cell in cells:
        specs = {spec.key: spec for spec in all_trials(plan, cell, store)}
        for key in choose(cell.protocol, {key: store.read("trials", key) for key in specs}):
            if not store.has("tests", key):
                tests[key] = (specs[key], {"rule": cell.protocol.settings, "protocol": cell.protocol.title})
    run_all(reveal_trial, "tests", tests, store, engine)
    return read_results(plan, store)


def _usable(plan: Plan, engine: Engine) -> list[Cell]:
    """Build all data, and return the cells whose method takes them."""
    wanted = list(dict.fromkeys((cell.data.key, cell.seed) for cell in plan.cells()))
    by_key = {data.key: data for data in plan.benchmarks}
    # Images before the features that an ERM network makes of them, or all workers but one would wait
    images = {replace_features(data).key: replace_features(data) for data in plan.benchmarks}
    engine.map(_prepare, [(data, seed) for data in images.values() for seed in plan.seeds], "Data")
    kinds = {}
    featured = [(by_key[key], seed) for key, seed in wanted if key not in images]
    engine.map(_prepare, featured, "Features")
    for data in plan.benchmarks:
        kinds[data.key] = prepare(data, plan.seeds[0]).for_training("as_train")[0].kind
    return [c for c in plan.cells() if kinds[c.data.key] != "images" or METHODS[c.entry.method].takes_images]


def replace_features(data: DataSpec) -> DataSpec:
    """Return the data before an ERM network turned them into features."""
    return DataSpec(data.benchmark, data.options, data.raw, data.version)


def run_all(task: Any, kind: str, jobs: dict[str, tuple[Any, ...]], store: Store, engine: Engine) -> None:
    """Run jobs until each has a record, wait for those of other processes, and find which jobs kill their worker.

    Parameters
    ----------
    task : callable
        Takes a trial's specification, the store, and what else a job holds.
    kind : {"trials", "tests"}
        Where it leaves its records.
    jobs : dict of str to tuple
        By key: the specification, and what else the task takes.
    store : Store
    engine : Engine
    """
    suspects: set[str] = set()
    while jobs:
        batch = {key: job for key, job in jobs.items() if key not in suspects}
        if not batch:  # each of these was at work when a worker died: alone, it can only have been the one
            batch = dict([next(iter(jobs.items()))])
        work = [(task, engine.gpu_share, str(store.folder), *job) for job in batch.values()]
        engine.map(_work, work, kind.capitalize())
        died = store.died(batch, kind)
        if died and set(batch) <= suspects:
            record_dead_worker(store, kind, jobs[died[0]][0])
        suspects |= set(died)
        left = {key: job for key, job in jobs.items() if not store.has(kind, key)}
        if len(left) == len(jobs) and not died:
            time.sleep(0.5)  # all that is left is in the hands of another process
        jobs = left


def record_dead_worker(store: Store, kind: str, spec: TrialSpec) -> None:
    """Record that a trial kills its worker."""
    (store.folder / "running" / spec.key).unlink(missing_ok=True)
    message = "the worker died, killed from outside or for want of memory: run with fewer jobs"
    if kind != "trials":
        raise LongwayError(f"the test of trial {spec.key}: {message}")
    record = {"format": FORMAT, "key": spec.key, "spec": spec.to_dict(), "data_hash": "", "seconds": 0.0}
    store.write("trials", spec.key, {**record, **failure("WorkerDied", message), "versions": versions()})


def _forget_failures(plan: Plan, cells: list[Cell], store: Store) -> None:
    for cell in cells:
        for spec in all_trials(plan, cell, store):
            if store.has("trials", spec.key) and store.read("trials", spec.key)["status"] == "failed":
                store.forget("trials", spec.key)


def _prepare(data: DataSpec, seed: int) -> str:
    prepare(data, seed)
    return "done"


def _work(task: Any, share: float, folder: str, spec: TrialSpec, *rest: Any) -> str:
    """Run one trial in a worker, on its slot of a GPU if it needs one."""
    settle()
    try:
        with device_for(spec, share):
            return str(task(spec, Store(folder), *rest))
    except Busy:
        return BUSY


def _connect(address: str | None) -> None:
    """Register a Ray cluster with joblib."""
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise LongwayError("backend='ray' needs ray: pip install 'longway[ray]'") from error
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    register_ray()
