"""A comparison as terminal text, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from longway.bench.grids import Grid, grids, pair_grids
from longway.bench.published import Pair
from longway.bench.table import Table
from longway.utils.errors import printable
from longway.utils.storage import atomic_file

_NUMERIC = re.compile(r"[-−–+\d.,%±()\s]+|–|[−+\d.]+ \([−+\d.]+ to [−+\d.]+\)|[\d.]+ to [\d.]+|\d+ \(\d+ failed\)")

_NESTED = (Mapping, list, tuple)

_LATEX = {
    "\\": r"\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
}


def show(shown: Sequence[Grid], console: Console | None = None) -> None:
    """Print tables on a terminal; columns that do not fit, least important first, are named below.

    Parameters
    ----------
    shown : sequence of Grid
    console : rich.console.Console, optional
    """
    console = console or Console(highlight=False)
    for grid in shown:
        _show(grid, console)


def to_text(shown: Sequence[Grid], width: int = 120) -> str:
    """Return tables as they look on a terminal of this width."""
    stream = io.StringIO()
    show(shown, Console(file=stream, width=width, highlight=False))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _show(grid: Grid, console: Console) -> None:
    widths = [_width(grid, column) for column in range(len(grid.header))]
    kept = _fitting(grid, widths, console.width)
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in kept:
        numeric = column > 0 and all(_NUMERIC.fullmatch(row[column]) for row in grid.rows)
        # Headings may break between words, numbers not at all
        name = "\n".join(textwrap.wrap(_line(grid.header[column]), widths[column])) or ""
        justify: Literal["left", "right"] = "right" if numeric else "left"
        drawn.add_column(Text(name), justify=justify, overflow="fold", no_wrap=numeric)
    for number, row in enumerate(grid.rows):
        drawn.add_row(*(Text(_line(row[column])) for column in kept), style="bold" if number == grid.best else None)
    console.print(Text(_line(grid.title), style="bold"), soft_wrap=True)
    console.print(drawn)
    hidden = [grid.header[column] for column in range(len(grid.header)) if column not in kept]
    if hidden:
        console.print(Text(f"No room for: {', '.join(map(_line, hidden))}."), soft_wrap=True)
    for note in grid.notes:
        console.print(Text(_line(note), style="dim"), soft_wrap=True)
    console.print()


def _width(grid: Grid, column: int) -> int:
    """Return the preferred width of a column: its longest cell, or word of its heading."""
    cells = [len(_line(row[column])) for row in grid.rows]
    return max([4, *(min(40, cell) for cell in cells), *(min(20, len(word)) for word in grid.header[column].split())])


def _fitting(grid: Grid, widths: Sequence[int], room: int) -> list[int]:
    """Return the columns that fit, the most important first."""
    kept = list(range(len(grid.header)))
    while grid.worth and len(kept) > 2 and sum(widths[column] + 3 for column in kept) > room:
        kept.remove(min(reversed(kept), key=lambda column: grid.worth[column]))
    return kept


def to_markdown(shown: Sequence[Grid]) -> str:
    """Return tables as GitHub Markdown; markup in cells is escaped."""
    parts = []
    for grid in shown:
        lines = [f"### {_markdown(grid.title)}", "", _markdown_row(grid.header)]
        lines.append("|" + " --- |" * len(grid.header))
        for number, row in enumerate(grid.rows):
            cells = [_markdown(cell) for cell in row]
            if number == grid.best:
                cells[grid.key] = f"**{cells[grid.key]}**"
            lines.append(f"| {' | '.join(cells)} |")
        notes = [_markdown(note) for note in grid.notes]
        parts.append("\n".join([*lines, "", *("  \n".join(notes).splitlines()), ""]))
    return "\n".join(parts)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_markdown(cell) for cell in cells)} |"


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#~$])", r"\\\1", _line(text))


def to_latex(shown: Sequence[Grid]) -> str:
    """Return tables as LaTeX for the package booktabs; markup in cells is escaped."""
    return "% \\usepackage{booktabs}\n" + "\n".join(_latex_table(grid) for grid in shown)


def _latex_table(grid: Grid) -> str:
    rows = []
    for number, row in enumerate(grid.rows):
        cells = [_latex(cell) for cell in row]
        if number == grid.best:
            cells[grid.key] = f"\\textbf{{{cells[grid.key]}}}"
        rows.append(" & ".join(cells) + r" \\")
    notes = [rf"\par\footnotesize {_latex(note)}" for note in grid.notes]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(grid.title)}}}",
        rf"\begin{{tabular}}{{{'l' * len(grid.header)}}}",
        r"\toprule",
        " & ".join(_latex(name) for name in grid.header) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *notes,
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    # A bracket at the start of a row would be taken for an argument of the line break before it
    return re.sub(r"^(?=[\[*])", "{}", "".join(_LATEX.get(mark, mark) for mark in _line(text)))


def to_csv(table: Table) -> str:
    """Return one row per benchmark, protocol and method, with all numbers in full precision."""
    records = [_record(block, line) for block in table.to_dict()["blocks"] for line in block["methods"]]
    stream = io.StringIO()
    names = dict.fromkeys(name for record in records for name in record)
    writer = csv.DictWriter(stream, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def _record(block: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    record = {name: block[name] for name in ("benchmark", "protocol", "oracle", "metric")}
    record |= {name: line[name] for name in ("method", "supervision", "tried", "failed")}
    record |= {"seeds": len(line["seeds"]), "seeds_failed": len(line["missing"])}
    for kind, sort in (("figures", ""), ("differences", " above baseline")):
        for name, estimate in line[kind].items():
            record |= {f"{name}{sort} {each}": estimate[each] for each in ("mean", "std", "low", "high")}
    return record


def to_json(value: Any, indent: str = "") -> str:
    """Return JSON with one line per innermost table or list."""
    inner = list(value.values() if isinstance(value, Mapping) else value) if isinstance(value, _NESTED) else []
    if not any(isinstance(each, _NESTED) for each in inner):
        return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" * (not indent)
    deeper = indent + " "
    parts = [to_json(each, deeper) for each in inner]
    if isinstance(value, Mapping):
        parts = [
            f"{json.dumps(str(name), ensure_ascii=False)}: {part}" for name, part in zip(value, parts, strict=True)
        ]
    opening, closing = "{}" if isinstance(value, Mapping) else "[]"
    lines = f",\n{deeper}".join(parts)
    return f"{opening}\n{deeper}{lines}\n{indent}{closing}" + "\n" * (not indent)


def write_pairs(name: str, pairs: Sequence[Pair], folder: str | Path) -> list[Path]:
    """Write published numbers next to ours as published.json and .md.

    Returns
    -------
    list of Path
        What was written.
    """
    record = {"format": 1, "table": name, "pairs": [pair.to_dict() for pair in pairs]}
    return _write({"published.json": to_json(record), "published.md": to_markdown(pair_grids(name, pairs))}, folder)


def write_table(table: Table, folder: str | Path) -> list[Path]:
    """Write a table as table.json, .csv, .md and .tex.

    Returns
    -------
    list of Path
        What was written.
    """
    shown = grids(table)
    texts = {
        "table.json": to_json(table.to_dict()),
        "table.csv": to_csv(table),
        "table.md": to_markdown(shown),
        "table.tex": to_latex(shown),
    }
    return _write(texts, folder)


def _write(texts: Mapping[str, str], folder: str | Path) -> list[Path]:
    for name, text in texts.items():
        with atomic_file(Path(folder) / name, "w") as file:
            file.write(text)
    return [Path(folder) / name for name in texts]


def _line(text: str) -> str:
    """Return text on one line, with its control characters escaped."""
    return printable(" ".join(text.split()))
