"""The command line: parses, calls the library, prints."""

from longway.cli._app import main

__all__ = ["main"]
