"""One self-contained HTML page."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from longway.report import theme
from longway.report.blocks import Section
from longway.report.svg import to_svg
from longway.utils.storage import atomic_file


@dataclass(frozen=True)
class Page:
    """A report: a title and sections of blocks, rendered to one HTML file that opens offline.

    Everything given is escaped; the page loads nothing and says so to the browser.

    Parameters
    ----------
    title, subtitle : str
    sections : sequence of Section
    facts : mapping of str to str
        Small print under the title: what was run, on what data, when.
    footer : str

    Examples
    --------
    >>> from longway.report import Section, Text
    >>> html = Page("Birds & backgrounds", sections=[Section("Finding", [Text("a < b")])]).render()
    >>> "<title>Birds &amp; backgrounds</title>" in html, "a &lt; b" in html
    (True, True)
    """

    title: str
    subtitle: str = ""
    sections: Sequence[Section] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    footer: str = ""

    def render(self) -> str:
        """Return the page as HTML, deterministically."""
        numbers = itertools.count(1)
        return _template().render(
            page=self,
            css=Markup(_asset("page.css")),
            js=Markup(_asset("page.js")),
            js_hash=_sha256(_asset("page.js")),
            theme=theme,
            svg=to_svg,
            next_id=lambda kind: f"{kind}-{next(numbers)}",
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page atomically.

        Returns
        -------
        Path
            Where it lies.

        Raises
        ------
        LongwayError
            If it cannot be written.
        """
        target = Path(path)
        html = self.render().encode("utf-8", errors="replace")
        with atomic_file(target) as file:
            file.write(html)
        return target


@functools.cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html.jinja"))


@functools.cache
def _asset(name: str) -> str:
    return files("longway.report").joinpath(name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
