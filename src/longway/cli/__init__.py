"""The command line: parses, calls the library, prints."""

from longway.cli.main import main

__all__ = ["main"]
