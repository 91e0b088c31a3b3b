"""Logging of results to MLflow and TensorBoard, each result once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from longway.bench.plan import Plan
from longway.bench.results import FIGURES, Result, figure
from longway.bench.store import Store
from longway.methods._persistence import describe
from longway.training.loggers import as_folder_name, load_mlflow, mlflow_client, mlflow_experiment, summary_writers
from longway.utils.errors import LongwayError, nearest

Tracker = Callable[[Plan, Sequence[Result]], None]


def trackers(names: Sequence[str], folder: str | Path) -> list[Tracker]:
    """Return a function that logs results to the trackers of these names.

    Parameters
    ----------
    names : sequence of {"mlflow", "tensorboard"}
    folder : str or Path
        The result folder; what has no other place goes into it.

    Raises
    ------
    LongwayError
        A tracker is unknown, or its library absent.
    """
    known = {"mlflow": _mlflow, "tensorboard": _tensorboard}
    for name in names:
        if name not in known:
            raise LongwayError(f"track={name!r} is unknown; {nearest(name, known)}")
    return [known[name](Store(folder)) for name in names]


def figures_of(result: Result) -> dict[str, float]:
    """Return every metric of every test part, by ``part/metric``.

    Parameters
    ----------
    result : Result
    """
    every = {f"{part}/{name}": figure(result.tests, part, name) for part in result.tests for name in FIGURES}
    return {name: value for name, value in every.items() if value == value}


def curves(result: Result, store: Store) -> Iterator[tuple[str, int, float]]:
    """Yield (name, epoch, value) of everything that the fit recorded per epoch."""
    learnt = describe(store.model(result.spec.key))["learnt"]
    for number, epoch in enumerate(learnt.get("history_", [])):
        for name, value in epoch.get("mapping", epoch).items():
            if isinstance(value, int | float) and name != "epoch":
                yield name, int(number), float(value)


def _mlflow(store: Store) -> Tracker:
    load_mlflow()  # said to be absent before anything runs; its files wait until the folder is one of results

    def log(plan: Plan, results: Sequence[Result]) -> None:
        client, place = mlflow_client(store.folder)
        for result in results:
            title, key = result.cell.data.title, result.spec.key
            experiment = mlflow_experiment(client, title, place)
            if client.search_runs([experiment], f"tags.`longway.trial` = '{key}' and attributes.status = 'FINISHED'"):
                continue
            tags = {"longway.trial": key, "protocol": result.cell.protocol.title, "supervision": result.supervision}
            name = f"{result.cell.entry.title}, seed {result.cell.seed}"
            run = client.create_run(experiment, tags=tags, run_name=name).info.run_id
            client.log_param(run, "method", result.spec.method)
            client.log_param(run, "seed", result.spec.seed)
            for parameter, value in result.spec.parameters.items():
                client.log_param(run, parameter, value)
            for metric, value in figures_of(result).items():
                client.log_metric(run, metric, value)
            for metric, epoch, value in curves(result, store):
                client.log_metric(run, f"epoch/{metric}", value, step=epoch)
            client.log_artifact(run, str(store.model(key)))
            client.set_terminated(run)

    return log


def _tensorboard(store: Store) -> Tracker:
    open_writer = summary_writers()

    def log(plan: Plan, results: Sequence[Result]) -> None:
        for result in results:
            about = [result.cell.data.title, result.cell.protocol.title, result.cell.entry.title]
            folder = store.folder / "tensorboard" / Path(*map(as_folder_name, about)) / str(result.cell.seed)
            if folder.exists():
                continue
            with open_writer(folder) as writer:
                shown: dict[str, Any] = {name: str(value) for name, value in result.spec.parameters.items()}
                for name, value in figures_of(result).items():
                    writer.add_scalar(name, value)
                for name, epoch, value in curves(result, store):
                    writer.add_scalar(f"epoch/{name}", value, epoch)
                writer.add_text(
                    "parameters", ", ".join(f"{name}={value}" for name, value in shown.items()) or "defaults"
                )

    return log
