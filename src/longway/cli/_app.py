"""The application, and the one place where errors become a line and an exit status."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from longway._version import __version__
from longway.cli import audit, bench, commands, explain, export
from longway.utils.errors import LongwayError, LongwayWarning, one_line
from longway.utils.storage import is_full

app = typer.Typer(
    name="longway",
    help="Train and audit classifiers that do not take shortcuts.",
    epilog="Start with `longway demo`. Then, on your own data: longway fit erm birds/ --label bird --attribute place",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name in commands.NAMES:
    app.command(name)(getattr(commands, name))
app.command("audit")(audit.audit)
app.command("explain")(explain.explain)
app.command("export")(export.export)
app.add_typer(bench.app)

_NAMES = (
    "input|label|attributes|group|split|split_by|fractions|hf_config|hf_split|out|overwrite|dtype|size|layer|pooling|"
    "allow_outside|mixed_precision|precision|devices|device|clip|checkpoint|log|tracker|backbone|opset"
)
_ARGUMENT = re.compile(rf"(?<![-\w])({_NAMES})=(?:(?P<bare>True\b|(?=[\s,:;)]|$))|(?=['(]))")
"""Arguments in messages of the library that are options here, such as ``label=`` and ``dtype='float32'``."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longway {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from; anywhere on the line.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with 0 on success, 2 on input that cannot be used, 1 on a fault of ours."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != "--debug"] or ["--help"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", LongwayWarning)
            warnings.showwarning = _warn
            status = app(words, prog_name="longway", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough: end in silence, as typer and rich do
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _stop("interrupted", 130)
    except Exception as error:
        if "--debug" in given and not _is_usage(error):
            raise
        _stop(*_line(error))
    if status == 130:  # typer's own word for an interrupt
        _stop("interrupted", 130)
    sys.exit(status or 0)


def _line(error: Exception) -> tuple[str, int]:
    """Return the message for an error, and the exit status."""
    if isinstance(error, LongwayError):
        return _ARGUMENT.sub(_option, str(error)), 2
    if _is_usage(error):
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context is not None else ""
        return error.format_message().rstrip(".") + hint, 2  # type: ignore[attr-defined]
    if is_full(error):
        return "no space left to write the output: free some space or write elsewhere", 2
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename2 or error.filename} cannot be used ({error.strerror}): choose another path", 2
    return f"unexpected {type(error).__name__}: {error} (run again with --debug and report it)", 1


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line; those of other libraries too, as their text may hold the user's words."""
    text = _ARGUMENT.sub(_option, str(message)) if issubclass(category, LongwayWarning) else str(message)
    print(f"longway: warning: {one_line(text)}", file=sys.stderr)


def _is_usage(error: Exception) -> bool:
    """Return whether click refused the command line; some versions of typer bundle a copy of click with its own
    classes.
    """
    return hasattr(error, "format_message")


def _option(match: re.Match[str]) -> str:
    """Spell an argument of the library as the option that the user types."""
    name = "--attribute" if match[1] == "attributes" else "--" + match[1].replace("_", "-")
    return name if match["bare"] is not None else f"{name} "


def _stop(message: str, status: int) -> None:
    print(f"longway: error: {one_line(message)}", file=sys.stderr)
    sys.exit(status)
