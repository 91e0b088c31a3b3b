"""What several tests of benchmarks count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from longway.data import GroupedDataset
from longway.datasets import Parts


def sizes(part: GroupedDataset) -> dict[str, int]:
    names, counts = np.unique(part.groups, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def fingerprints(parts: Parts) -> dict[str, str]:
    return {name: part.fingerprint for name, part in parts.items()}


def draw(path: Path, shade: int = 100, side: int = 6) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), shade, np.uint8)).save(path)


BACKBONE = """
import torch
from torch import nn

def load():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    module.register_buffer("version", torch.zeros(1))
    return module
"""


def backbone(folder: Path) -> str:
    """Write a backbone whose features are the mean colour, and return its name."""
    (folder / "encoder.py").write_text(BACKBONE)
    return f"{folder / 'encoder.py'}:load"
