"""Colours shared by the page and its figures.

A figure is drawn in the light colours below; in the page each becomes a CSS variable of the same name, so
one drawing reads on light and on dark. The series are Okabe and Ito's palette, safe for the colour-blind,
with yellow left out and the light hues darkened until they stand out from white.
"""

from __future__ import annotations

INK = "#16191d"
MUTED = "#5d6671"
LINE = "#e2e5e9"
FAINT = "#b4bbc4"
ACCENT = "#0a64a4"

SERIES = ("#0072b2", "#d55e00", "#009e73", "#b5588f", "#a87900", "#3c9fd6")
WORST = SERIES[1]
"""Colour of the worst group, of what stands out and of the first of a pair: one of the series, for its dark twin."""

LIGHT = {"ink": INK, "muted": MUTED, "line": LINE, "faint": FAINT, "accent": ACCENT} | {
    f"series-{number}": colour for number, colour in enumerate(SERIES, start=1)
}

DARK = {
    "ink": "#eceff2",
    "muted": "#9da7b3",
    "line": "#2b3138",
    "faint": "#59636e",
    "accent": "#6db7f2",
    "series-1": "#4aa3e0",
    "series-2": "#ff8a47",
    "series-3": "#2fc598",
    "series-4": "#e29bc8",
    "series-5": "#e5b537",
    "series-6": "#a6d8f7",
}

VARIABLE_OF = {colour: f"var(--{name})" for name, colour in LIGHT.items()}
