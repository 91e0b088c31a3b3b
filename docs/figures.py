"""Fills figures from ``results/*.json`` into README.md and docs/*.md.

A figure stands between two markers, on a line or on lines of its own::

    on the worst group: <!-- figures: demo.erm.worst_group -->44 %<!-- end -->.

What is between them is never written by hand. Run ``python docs/figures.py`` after new results, and
``python docs/figures.py --check`` to learn whether a file is out of date (exit status 1, one line for each).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from blocks import BLOCKS
from blocks.compare import measured
from blocks.demo import demo_seconds, demo_share
from blocks.results import Results, read_results

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"(?P<begin><!-- figures: (?P<name>\S+) -->).*?(?P<end><!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Write the figures, or say which files are out of date."""
    results = read_results(ROOT / "results")
    stale = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        filled = fill(text, results)
        if filled == text:
            continue
        if "--check" in arguments:
            stale.append(path)
        else:
            path.write_text(filled, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: run `python docs/figures.py`")
    return 1 if stale else 0


def documents() -> list[Path]:
    """Return the files that may hold figures."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def fill(text: str, results: Results) -> str:
    """Put every figure between its markers."""

    def filled(match: re.Match[str]) -> str:
        content = figure(match["name"], results)
        if match["name"] in BLOCKS:
            content = f"\n\n{content}\n\n"
        return match["begin"] + content + match["end"]

    return MARK.sub(filled, text)


def figure(name: str, results: Results) -> str:
    """Return the text of one figure.

    It is a block, a number of the demonstration such as ``demo.erm.worst_group``, or one of a comparison's first
    benchmark and protocol such as ``compare.sitar-digits.sitar.ood.average``.
    """
    if name in BLOCKS:
        return BLOCKS[name](results)
    match name.split("."):
        case ["demo", "seconds"]:
            return demo_seconds(results)
        case ["demo", method, share]:
            return demo_share(results, method, share)
        case ["compare", plan, method, part, share]:
            return measured(results, plan, method, part, share)
    sys.exit(f"there is no figure {name!r}; blocks are {', '.join(BLOCKS)}, numbers are like demo.erm.worst_group")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
