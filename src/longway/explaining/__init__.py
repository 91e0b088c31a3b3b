"""Show what a fitted model uses: axes, confident predictions, image regions, attributes, edits."""

from longway.explaining._explain import explain
from longway.explaining.decoding import Decoder, UnCLIP, load_unclip
from longway.explaining.result import (
    Alignment,
    ClassEdit,
    Direction,
    Edits,
    Explanation,
    Heat,
    Neighbour,
    Reliance,
)

__all__ = [
    "Alignment",
    "ClassEdit",
    "Decoder",
    "Direction",
    "Edits",
    "Explanation",
    "Heat",
    "Neighbour",
    "Reliance",
    "UnCLIP",
    "explain",
    "load_unclip",
]
