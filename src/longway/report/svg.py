"""Conversion of matplotlib figures to SVG that can share a page."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.text import Text

from longway.report.theme import VARIABLE_OF
from longway.report.tips import tips_to_attributes

# matplotlib escapes < and > in text and in attributes, so this finds whole tags and never a part of a text.
_TAG = re.compile(r"<[^>]*>")
_ID = re.compile(r'\bid="(?!tip\.)([^"]*)"')
_REFERENCE = re.compile(r'url\(#([^)"]*)\)|\bxlink:href="#([^"]*)"')
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_FONT = re.compile(r"'DejaVu Sans'[^;\"]*")
_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "longway", "text.usetex": False}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def to_svg(figure: Figure, *, prefix: str, label: str) -> Markup:
    """Draw a figure as an inline SVG element.

    Text stays text (selectable, in the page's font, ``$`` never starts mathematics), colours of
    `longway.report.theme` become CSS variables, every id gets the prefix, and nothing refers to
    anything outside. Marks that `longway.report.tips.tip` gave a text carry it. The same figure gives the same SVG.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Its texts are set to be read literally.
    prefix : str
        Makes the ids unique within the page; letters, digits and hyphens.
    label : str
        Alternative text for those who do not see the figure.
    """
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    stream = io.StringIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # matplotlib's own font may lack a glyph (emoji, other scripts); the browser's fonts draw it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        figure.savefig(stream, format="svg", transparent=True, metadata=_NO_METADATA)
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    # Its style element would apply to the whole page; the page's own CSS says the same for figures only.
    drawing = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>|<!--.*?-->", "", drawing, flags=re.DOTALL)
    # Tips come last: what the user wrote is not to be taken for an id or a colour.
    drawing = _TAG.sub(lambda match: tips_to_attributes(_adapt(match.group(), prefix)), drawing)
    return Markup(drawing.replace("<svg ", Markup('<svg role="img" aria-label="{}" ').format(label), 1))


def _adapt(tag: str, prefix: str) -> str:
    tag = _ID.sub(rf'id="{prefix}-\1"', tag)
    tag = _REFERENCE.sub(
        lambda m: f"url(#{prefix}-{m[1]})" if m[1] is not None else f'xlink:href="#{prefix}-{m[2]}"', tag
    )
    tag = _FONT.sub("system-ui, sans-serif", tag)
    return _COLOUR.sub(lambda match: VARIABLE_OF.get(match.group(), match.group()), tag)
