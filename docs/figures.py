"""Fill figures from ``results/*.json`` into README.md and docs/*.md, and draw curves into docs/images.

A figure stands between two markers, on a line or on lines of its own::

    on the worst group: <!-- figures: demo.erm.worst_group -->44 %<!-- end -->.

Never edit the text between them by hand. Run ``python docs/figures.py`` after new results.
``python docs/figures.py --check`` prints one line for each file that is out of date, and exits with 1 if there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from blocks import BLOCKS, DRAWINGS
from blocks.compare import measured
from blocks.demo import demo_seconds, demo_share
from blocks.results import Results, read_results

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"(?P<begin><!-- figures: (?P<name>\S+) -->).*?(?P<end><!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Write the figures, or print which files are out of date."""
    stale = []
    for path, text in contents(read_results(ROOT / "results")):
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in arguments:
            stale.append(path)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: run `python docs/figures.py`")
    return 1 if stale else 0


def contents(results: Results) -> Iterator[tuple[Path, str]]:
    """Yield every file with figures and every drawing, with its new content."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        yield path, fill(path.read_text(encoding="utf-8"), results)
    for name, draw in DRAWINGS.items():
        drawing = draw(results)
        if drawing is not None:
            yield ROOT / "docs" / name, drawing


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

    A figure is a block, a number of the demonstration such as ``demo.erm.worst_group``, or a number of a comparison's
    table: of the first, as in ``compare.sitar-digits.sitar.ood.average``, or of the third, as in
    ``compare.images.3.sitar.ood.average``.
    """
    if name in BLOCKS:
        return BLOCKS[name](results)
    match name.split("."):
        case ["demo", "seconds"]:
            return demo_seconds(results)
        case ["demo", method, share]:
            return demo_share(results, method, share)
        case ["compare", plan, method, part, share]:
            return measured(results, plan, 0, method, part, share)
        case ["compare", plan, number, method, part, share]:
            return measured(results, plan, int(number) - 1, method, part, share)
    sys.exit(f"there is no figure {name!r}; blocks are {', '.join(BLOCKS)}, numbers are like demo.erm.worst_group")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
