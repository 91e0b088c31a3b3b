"""Measure the structure of the source tree: ``python tools/house.py [--check] [--json]``.

``--check`` exits with 1 and names what is over a limit. Rooms are the folders and loose modules directly under
``longway``; ``longway/__init__.py`` and ``__main__.py`` belong to none. Imports include those within functions and
under ``TYPE_CHECKING``.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "longway"
NUMERIC = ("functional", "linear", "nn", "training", "groups", "methods")
CLAUSE = re.compile(r"(What|How|Where|Whether|Of|Which|Who|Why|When|In which|That|By which|To which)\b")
LIMITS = {
    "loose modules": 1,
    "rooms": 20,
    "floors": 9,
    "imports upward": 0,
    "circles": 0,
    "files over 400 lines": 0,
    "functions over 50 lines": 0,
    "files in the largest folder": 30,
    "docstrings that open with a clause": 0,
    "levels of inheritance above a method": 2,
    "duplicate stretches": 25,
}
"""The largest value of each measure that ``--check`` accepts."""


class House:
    """The source tree, parsed once."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self.package = package
        self.texts = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
        self.trees = {path: ast.parse(text) for path, text in self.texts.items()}
        self.modules = {_module(path.relative_to(package.parent)): path for path in self.texts}

    def room(self, module: str) -> str:
        """Return the room of a module; empty for the root and for ``__main__``."""
        parts = module.split(".")
        return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""

    @cached_property
    def arrows(self) -> dict[str, dict[str, list[str]]]:
        """The imports from each room into others: room, imported room, "module:line imports module"."""
        found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for module, path in self.modules.items():
            for target, line in self._imports(path):
                here, there = self.room(module), self.room(target)
                if here and there and here != there:
                    found[here][there].append(f"{module}:{line} imports {target}")
        return found

    def _imports(self, path: Path) -> Iterator[tuple[str, int]]:
        for node in ast.walk(self.trees[path]):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "longway":
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield inner if inner in self.modules else node.module, node.lineno
            elif isinstance(node, ast.Import):
                yield from ((a.name, node.lineno) for a in node.names if a.name.split(".")[0] == "longway")

    @cached_property
    def rooms(self) -> list[str]:
        """All rooms."""
        return sorted({self.room(module) for module in self.modules} - {""})

    def circles(self) -> list[str]:
        """Return the pairs of rooms that import each other, directly or through others."""
        reach = {room: self._reach(room) for room in self.rooms}
        return [f"{a} and {b}" for a in self.rooms for b in self.rooms if a < b and b in reach[a] and a in reach[b]]

    def _reach(self, room: str) -> set[str]:
        seen: set[str] = set()
        todo = [room]
        while todo:
            for there in self.arrows.get(todo.pop(), {}):
                if there not in seen:
                    seen.add(there)
                    todo.append(there)
        return seen

    def floors(self) -> dict[str, int]:
        """Return the floor of each room: 1 if it imports no other, else one above the highest that it imports."""
        found: dict[str, int] = {}

        def floor(room: str, above: tuple[str, ...] = ()) -> int:
            if room in above:
                return 0
            if room not in found:
                found[room] = 1 + max((floor(there, (*above, room)) for there in self.arrows.get(room, {})), default=0)
            return found[room]

        for room in self.rooms:
            floor(room)
        return found

    def upward(self) -> list[str]:
        """Return the imports that run against the order of the layers contract in pyproject.toml."""
        order = layers()
        return [
            line
            for here, into in self.arrows.items()
            for there, lines in into.items()
            for line in lines
            if order.index(there) >= order.index(here)
        ]

    def long_functions(self) -> list[str]:
        """Return the functions of more than 50 lines without their docstrings."""
        found = []
        for path, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                    lines = node.end_lineno - body[0].lineno + 1 if body and node.end_lineno else 0
                    if lines > 50:
                        found.append(f"{self._name(path)}:{node.lineno} {node.name} ({lines} lines)")
        return found

    def clauses(self) -> list[str]:
        """Return the docstrings whose opening line is a clause instead of a noun phrase or an imperative."""
        found = []
        for path, tree in self.trees.items():
            for line, text in _docstrings(tree):
                if CLAUSE.match(text):
                    found.append(f"{self._name(path)}:{line} {text.splitlines()[0][:80]}")
        return found

    def comment_ratio(self) -> float:
        """Return the lines of code for each comment in the numeric rooms."""
        code = comments = 0
        for path, text in self.texts.items():
            if path.relative_to(self.package).parts[0] in NUMERIC:
                documented = _docstring_lines(self.trees[path])
                for number, line in enumerate(text.splitlines(), 1):
                    stripped = line.strip()
                    if stripped.startswith("#"):
                        comments += 1
                    elif stripped and number not in documented:
                        code += 1
                        comments += "  # " in line and "noqa" not in line and "type: ignore" not in line
        return code / max(comments, 1)

    def duplicates(self, size: int = 6) -> list[str]:
        """Return the stretches of ``size`` or more equal lines that stand in two places; each pair of places once.

        Lines are compared without indentation. Blank lines, comments, imports, docstrings and lines of punctuation only
        are skipped.
        """
        places: dict[tuple[str, ...], list[tuple[Path, int, int]]] = defaultdict(list)
        for path in self.texts:
            lines = self._plain_lines(path)
            for start in range(len(lines) - size + 1):
                window = lines[start : start + size]
                places[tuple(text for _, text in window)].append((path, start, window[0][0]))
        pairs: dict[tuple[Path, Path, int], list[int]] = defaultdict(list)
        for found in places.values():
            for (a, i, _), (b, j, _) in pairwise(found):
                pairs[a, b, j - i].append(i)
        stretches = []
        for (a, b, offset), starts in pairs.items():
            for i in sorted(starts):
                if i - 1 not in starts and (a != b or abs(offset) >= size):
                    first, second = (self._plain_lines(path)[k][0] for path, k in ((a, i), (b, i + offset)))
                    stretches.append(f"{self._name(a)}:{first} and {self._name(b)}:{second}")
        return sorted(stretches)

    def _plain_lines(self, path: Path) -> list[tuple[int, str]]:
        skipped = _docstring_lines(self.trees[path])
        for node in ast.walk(self.trees[path]):
            if isinstance(node, ast.Import | ast.ImportFrom):
                skipped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        lines = enumerate(self.texts[path].splitlines(), 1)
        plain = ((number, line.strip()) for number, line in lines if number not in skipped)
        return [(number, line) for number, line in plain if re.search(r"\w", line) and not line.startswith("#")]

    def inheritance(self) -> int:
        """Return the most levels of classes between a registered method and ``Method``, this included."""
        bases = {
            node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
            for path, tree in self.trees.items()
            if "methods" in path.parts
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        }

        def depth(name: str) -> int:
            if name == "Method":
                return 0
            return 1 + max((depth(base) for base in bases.get(name, ())), default=-100)

        return max(depth(name) for name in bases)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.package.parent))


def layers() -> list[str]:
    """Return the rooms in the order of the layers contract, the lowest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return [layer.removeprefix("longway.") for layer in reversed(settings["contracts"][0]["layers"])]


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each docstring, those of attributes included."""
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value.strip()


def _docstring_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                lines.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return lines


def measure(house: House) -> dict[str, Any]:
    """Return all measures; a list stands for its length."""
    folders: dict[Path, int] = defaultdict(int)
    for path in house.texts:
        folders[path.parent] += path.name != "__init__.py"
    loose = [p.stem for p in house.package.glob("*.py") if p.stem not in ("__init__", "__main__")]
    return {
        "loose modules": loose,
        "rooms": house.rooms,
        "floors": max(house.floors().values()),
        "imports upward": house.upward(),
        "circles": house.circles(),
        "files over 400 lines": [house._name(p) for p, text in house.texts.items() if text.count("\n") > 400],
        "functions over 50 lines": house.long_functions(),
        "files in the largest folder": max(folders.values()),
        "docstrings that open with a clause": house.clauses(),
        "levels of inheritance above a method": house.inheritance(),
        "duplicate stretches": house.duplicates(),
        "lines of source": sum(text.count("\n") for text in house.texts.values()),
        "lines of code per comment in numeric rooms": round(house.comment_ratio(), 1),
    }


def main(arguments: list[str]) -> int:
    """Print the measures; with ``--check``, what is over its limit."""
    found = measure(House())
    values = {name: len(value) if isinstance(value, list) else value for name, value in found.items()}
    if "--json" in arguments:
        print(json.dumps(found, indent=2))
    elif "--check" not in arguments:
        for name, value in values.items():
            print(f"{name:<45} {value:>7}" + (f"   (at most {LIMITS[name]})" if name in LIMITS else ""))
    over = [name for name, limit in LIMITS.items() if values[name] > limit]
    if "--check" in arguments:
        for name in over:
            print(f"{name}: {values[name]}, at most {LIMITS[name]}")
            for line in found[name] if isinstance(found[name], list) else ():
                print(f"  {line}")
    return 1 if over and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
