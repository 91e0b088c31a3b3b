"""Progress bars on standard error, shown only in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from longway.utils.errors import printable


class Advance(Protocol):
    """A callback after each step, with a short description of the state."""

    def __call__(self, note: str = "") -> None:
        """Advance by one step."""


@contextmanager
def progress(description: str, total: int, *, done: int = 0, show: bool = True) -> Iterator[Advance]:
    """Show a bar of ``total`` steps while the body runs.

    Parameters
    ----------
    description : str
        What is going on.
    total : int
        Number of steps.
    done : int, default 0
        How many of them an earlier run has done.
    show : bool, default True
        False shows nothing; so does a standard error that is no terminal.

    Yields
    ------
    callable
        Advances the bar by one step.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not (show and console.is_terminal)) as bar:
        task = bar.add_task(printable(description), total=total, completed=done, note="")

        def advance(note: str = "") -> None:
            bar.update(task, advance=1, note=printable(note))

        yield advance
