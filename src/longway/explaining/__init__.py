"""What a fitted model uses: axes, answers, places in images, attributes, edits."""

from longway.explaining.contract import (
    Alignment,
    ClassEdit,
    Direction,
    Edits,
    Explanation,
    Heat,
    Neighbour,
    Reliance,
)
from longway.explaining.decoding import Decoder, UnCLIP, load_unclip
from longway.explaining.run import explain

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
