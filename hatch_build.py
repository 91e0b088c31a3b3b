"""Write the stubs of the packages whose names are imported lazily, so that type checkers and editors know them.

The build runs this as a hook; run ``python hatch_build.py`` after adding a method. The stubs are not committed.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a script, without the build backend
    BuildHookInterface = object

PACKAGE = Path(__file__).parent / "src" / "longway"


def write_stubs() -> None:
    """Write ``__init__.pyi`` of ``longway`` and of ``longway.methods``."""
    sys.path.insert(0, str(PACKAGE.parent))
    try:
        root = runpy.run_path(str(PACKAGE / "__init__.py"))
    finally:
        sys.path.remove(str(PACKAGE.parent))
    methods = {**root["method_modules"](), "METHODS": "longway.methods._registry", "Method": "longway.methods._base"}
    _write(PACKAGE / "methods" / "__init__.pyi", methods)
    _write(PACKAGE / "__init__.pyi", {"__version__": "longway._version", **root["_MODULE_OF"], **methods})


def _write(path: Path, modules: dict[str, str]) -> None:
    imports = [f"from {module} import {name} as {name}" for name, module in sorted(modules.items())]
    text = "\n".join(["# Written by hatch_build.py.", *imports, "", f"__all__ = {sorted(modules)!r}", ""])
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


class StubsHook(BuildHookInterface):  # type: ignore[misc]
    """Writes the stubs before a wheel is built or the package is installed in place."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the stubs and have the wheel take them."""
        write_stubs()
        build_data.setdefault("artifacts", []).extend(
            ["/src/longway/__init__.pyi", "/src/longway/methods/__init__.pyi"]
        )


if __name__ == "__main__":
    write_stubs()
