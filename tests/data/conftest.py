"""Small sources of every kind, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def table() -> dict[str, list]:
    """Columns of twelve rows."""
    return {
        "bird": ["land", "water"] * 6,
        "place": ["sand", "sand", "sea"] * 4,
        "site": [f"s{i // 2}" for i in range(12)],
        "part": ["train"] * 6 + ["valid"] * 3 + ["test"] * 3,
        "f0": list(range(12)),
        "f1": [i / 2 for i in range(12)],
    }


def draw(path: Path, shade: int, size: tuple[int, int] = (8, 6)) -> None:
    """Write one image of a single grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), shade, np.uint8)).save(path)


@pytest.fixture
def image_folder(tmp_path) -> Path:
    """Return a folder of six images whose names hold misleading words, with a metadata.csv."""
    root = tmp_path / "birds [1]"
    lines = ["file_name,bird,place,split"]
    for i in range(6):
        name = f"{'ab'[i % 2]}/test_{i}.png"
        draw(root / name, 10 * i)
        lines.append(f"{name},{'land' if i % 2 else 'water'},{i // 3},{i % 3}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root
