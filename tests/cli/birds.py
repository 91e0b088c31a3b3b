"""Small data on birds, in which the place follows the bird, and backbones for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

ROLES = ("--label", "bird", "--attribute", "place", "--split", "part")


def birds(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Draw birds whose place follows their kind nine times in ten; f0 shows the bird, f1 the place."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    place = np.where(rng.random(n) < 0.8, y, 1 - y)
    y[:4], place[:4] = [0, 0, 1, 1], [0, 1, 0, 1]
    return pd.DataFrame(
        {
            "f0": 2.0 * y - 1 + rng.normal(0, 0.7, n),
            "f1": 2.0 * place - 1 + rng.normal(0, 0.3, n),
            "f2": rng.normal(size=n),
            "bird": np.array(["land", "water"])[y],
            "place": np.array(["sand", "sea"])[place],
            "site": [f"s{i // 3}" for i in range(n)],
            "part": np.array(["train", "train", "train", "val", "test"])[np.arange(n) // 4 % 5],
        }
    )


def draw(folder: Path, table: pd.DataFrame) -> list[str]:
    """Write an 8x8 PNG a row: the bird is the left half's shade, the place the right half's; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i:03}.png" for i in range(len(table))]
    rng = np.random.default_rng(1)
    for name, bird, place in zip(names, table["bird"], table["place"], strict=True):
        pixels = rng.integers(0, 60, (8, 8, 3))
        pixels[:, :4] += 150 * (bird == "water")
        pixels[:, 4:] += 150 * (place == "sea")
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
    return names


ENCODERS = """
import numpy as np, torch
from sklearn.feature_extraction.text import HashingVectorizer

def images():
    return torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())

def other():
    net = torch.nn.Conv2d(3, 5, 1)
    torch.nn.init.ones_(net.weight)
    return net

def raises():
    def encode(x):
        raise RuntimeError("out of luck")
    encode.fingerprint = "1"
    return encode

def ragged():
    return torch.nn.Flatten(0)

class Words:
    def encode(self, texts):
        counts = HashingVectorizer(n_features=64, alternate_sign=False).transform(texts).toarray()
        return counts @ np.random.default_rng(0).normal(size=(64, 16))

def words():
    return Words()
"""
