"""Live loggers of training curves: TensorBoard and MLflow."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from longway.utils.errors import LongwayError

Log = Callable[[Mapping[str, float]], None]
"""A function that logs the record of one epoch."""


def load_mlflow() -> Any:
    """Import MLflow and silence its output."""
    try:
        import mlflow
    except ImportError as error:
        raise LongwayError("MLflow is not installed: pip install 'longway[track]'") from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return mlflow


def mlflow_client(folder: Path) -> tuple[Any, str | None]:
    """Return an MLflow client and the artifact location of new experiments (None leaves it to the server).

    Without ``MLFLOW_TRACKING_URI``, everything is stored in ``mlflow.db`` and ``mlflow/`` in this folder.
    """
    mlflow = load_mlflow()
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return mlflow.MlflowClient(), None
    folder.mkdir(parents=True, exist_ok=True)
    client = mlflow.MlflowClient(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
    return client, (folder / "mlflow").absolute().as_uri()


def mlflow_experiment(client: Any, title: str, artifact_location: str | None) -> str:
    """Return the id of the experiment with this title, creating it if needed."""
    found = client.get_experiment_by_name(title)
    return found.experiment_id if found else client.create_experiment(title, artifact_location)


def summary_writers() -> Callable[[Path], Any]:
    """Return a factory of TensorBoard writers in a folder."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise LongwayError("tensorboardX is not installed: pip install 'longway[track]'") from error
    return lambda folder: SummaryWriter(str(folder), write_to_disk=True)


def as_folder_name(text: str) -> str:
    """Turn text into a folder name.

    Examples
    --------
    >>> as_folder_name("JTT, first/second stage")
    'JTT_ first_second stage'
    """
    return "".join(letter if letter.isalnum() or letter in " -_.=" else "_" for letter in text).strip()


def logging_to(folder: str | Path | None, tracker: str, name: str) -> AbstractContextManager[Log]:
    """Return a context in which a function logs the epochs of one run; it does nothing without a folder.

    Parameters
    ----------
    folder : str or Path, optional
    tracker : {"tensorboard", "mlflow"}
    name : str
        Name of the run; slashes separate its parts.

    Returns
    -------
    context manager
        Yields a function that takes one epoch's record, which includes its number ``epoch``.
    """
    if folder is None:
        return nullcontext(lambda record: None)
    return (_tensorboard if tracker == "tensorboard" else _mlflow)(Path(folder), name)


@contextmanager
def _tensorboard(folder: Path, name: str) -> Iterator[Log]:
    with summary_writers()(folder.joinpath(*map(as_folder_name, name.split("/")))) as writer:

        def write(record: Mapping[str, float]) -> None:
            for key, value in record.items():
                if key != "epoch":
                    writer.add_scalar(key, value, int(record["epoch"]))
            writer.flush()

        yield write


@contextmanager
def _mlflow(folder: Path, name: str) -> Iterator[Log]:
    client, location = mlflow_client(folder)
    run = client.create_run(mlflow_experiment(client, "training", location), run_name=name).info.run_id

    def write(record: Mapping[str, float]) -> None:
        for key, value in record.items():
            if key != "epoch":
                client.log_metric(run, key, value, step=int(record["epoch"]))

    status = "FAILED"
    try:
        yield write
        status = "FINISHED"
    finally:
        client.set_terminated(run, status)
