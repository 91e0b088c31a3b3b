"""The application, and the one place where errors become a line and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import click
import typer

from longway import __version__
from longway.cli import commands
from longway.errors import LongwayError

app = typer.Typer(
    name="longway",
    help="Train and audit classifiers that do not take shortcuts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name in commands.NAMES:
    app.command(name)(getattr(commands, name))


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from; anywhere on the line.")
    ] = False,
) -> None:
    if version:
        typer.echo(f"longway {__version__}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with 0 on success, 2 on input that cannot be used, 1 on a fault of ours."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if "--version" in given:
        given = ["--version", "methods"]
    try:
        status = app([word for word in given if word != "--debug"], prog_name="longway", standalone_mode=False)
    except click.exceptions.Abort:
        _stop("interrupted", 130)
    except click.ClickException as error:
        _stop(error.format_message(), 2)
    except LongwayError as error:
        if debug:
            raise
        _stop(str(error), 2)
    except KeyboardInterrupt:
        _stop("interrupted", 130)
    except BrokenPipeError:
        sys.exit(0)  # the reader of our output has seen enough
    except Exception as error:
        if debug:
            raise
        _stop(f"unexpected {type(error).__name__}: {error} (run again with --debug and report it)", 1)
    sys.exit(status or 0)


def _stop(message: str, status: int) -> None:
    line = " ".join(message.split())
    print(f"longway: error: {line}", file=sys.stderr)
    sys.exit(status)
