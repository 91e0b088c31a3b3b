"""Live loggers of training curves: TensorBoard and MLflow."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from longway.utils.errors import LongwayError

Log = Callable[[Mapping[str, float]], None]
"""A function that logs the record of one epoch."""


def load_mlflow() -> Any:
    """Return MLflow with its output silenced."""
    try:
        import mlflow
    except ImportError as error:
        raise LongwayError("MLflow is not installed: pip install 'longway[track]'") from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return mlflow


def mlflow_client(folder: Path) -> tuple[Any, str | None]:
    """Return a client of MLflow and the artifact location of new experiments (None leaves it to the server).

    Without ``MLFLOW_TRACKING_URI``, all is kept in ``mlflow.db`` and ``mlflow/`` in this folder.
    """
    mlflow = load_mlflow()
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return mlflow.MlflowClient(), None
    folder.mkdir(parents=True, exist_ok=True)
    client = mlflow.MlflowClient(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
    return client, (folder / "mlflow").absolute().as_uri()


def mlflow_experiment(client: Any, title: str, place: str | None) -> str:
    """Return the id of the experiment of this title, creating it if needed."""
    known = client.get_experiment_by_name(title)
    return known.experiment_id if known else client.create_experiment(title, place)


def summary_writers() -> Callable[[Path], Any]:
    """Return a factory of TensorBoard writers in a folder."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise LongwayError("tensorboardX is not installed: pip install 'longway[track]'") from error
    return lambda folder: SummaryWriter(str(folder), write_to_disk=True)


def as_name(words: str) -> str:
    """Turn words into a folder name.

    Examples
    --------
    >>> as_name("JTT, first/second stage")
    'JTT_ first_second stage'
    """
    return "".join(letter if letter.isalnum() or letter in " -_.=" else "_" for letter in words).strip()


@contextmanager
def logging_to(folder: str | Path | None, tracker: str, name: str) -> Iterator[Log]:
    """Log the epochs of one run while the body runs; a no-op without a folder.

    Parameters
    ----------
    folder : str or Path, optional
    tracker : {"tensorboard", "mlflow"}
    name : str
        Of the run, its parts set apart by slashes.

    Yields
    ------
    callable
        Takes one epoch's record, its number ``epoch`` included.
    """
    if folder is None:
        yield lambda record: None
    elif tracker == "tensorboard":
        with summary_writers()(Path(folder).joinpath(*map(as_name, name.split("/")))) as writer:

            def write(record: Mapping[str, float]) -> None:
                for key, value in record.items():
                    if key != "epoch":
                        writer.add_scalar(key, value, int(record["epoch"]))
                writer.flush()

            yield write
    else:
        client, place = mlflow_client(Path(folder))
        run = client.create_run(mlflow_experiment(client, "training", place), run_name=name).info.run_id

        def send(record: Mapping[str, float]) -> None:
            for key, value in record.items():
                if key != "epoch":
                    client.log_metric(run, key, value, step=int(record["epoch"]))

        status = "FAILED"
        try:
            yield send
            status = "FINISHED"
        finally:
            client.set_terminated(run, status)
