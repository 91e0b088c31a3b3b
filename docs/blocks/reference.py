"""The list of all public names, from each package's ``__all__`` and the docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from blocks.results import Results
from blocks.text import table

PACKAGES = (
    *("longway", "longway.auditing", "longway.backbones", "longway.bench", "longway.data", "longway.datasets"),
    *("longway.demo", "longway.explaining", "longway.exporting", "longway.groups", "longway.metrics"),
    *("longway.report", "longway.training"),
)
"""The packages whose ``__all__`` is public."""


def reference(_: Results) -> str:
    """Return a section for each package, with a line for each of its public names."""
    return "\n\n".join(_section(importlib.import_module(name)) for name in PACKAGES)


def _section(package: ModuleType) -> str:
    rows = [[f"`{name}`", _escaped(summary(package, name))] for name in package.__all__]
    return f"## {package.__name__}\n\n{_escaped(_opening(package.__doc__))}\n\n{table(['Name', 'Summary'], rows)}"


def summary(package: ModuleType, name: str) -> str:
    """Return the first paragraph of the docs of a public name."""
    value = getattr(package, name)
    documented = inspect.isclass(value) or inspect.isroutine(value)
    text = inspect.getdoc(value) if documented else _constants(package.__name__.split(".")[-1]).get(name)
    if not text:
        sys.exit(f"{package.__name__}.{name} has no docstring")
    return _opening(text)


def _opening(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split())


def _escaped(text: str) -> str:
    """Turn reStructuredText literals and formulas into Markdown that a table cell can hold."""
    return re.sub(r":math:`([^`]*)`", r"`\1`", text).replace("``", "`").replace("|", r"\|")


@cache
def _constants(room: str) -> dict[str, str]:
    """Return the docstrings of module-level assignments; a constant itself has no ``__doc__``."""
    import longway

    found = {}
    for path in sorted((Path(longway.__file__).parent / ("methods" if room == "longway" else room)).glob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in pairwise(body):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Name) and isinstance(after.value, ast.Constant):
                    found[target.id] = str(after.value.value)
    return found
