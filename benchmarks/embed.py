"""How much of the bare forward pass's speed `embed` keeps: decoding, resizing and storing included.

Run as ``python benchmarks/embed.py``. Both sides run the same backbone with the same batch size in the same process,
by turns. The bare side has all its images decoded, resized and scaled in memory beforehand, and is timed in both memory
layouts, as the faster of the two depends on the backbone and the machine.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from longway.backbones import Backbone, load_backbone
from longway.backbones.embed import embed
from longway.data import GroupedDataset, read

DATA = Path(os.environ.get("LONGWAY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
IMAGES, SIZE, BATCH, REPEATS = 3000, 96, 64, 3


def bare_seconds(backbone: Backbone, batches: list[torch.Tensor]) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        for batch in batches:
            backbone.module(batch)
    return time.perf_counter() - start


def embed_seconds(backbone: Backbone, data: GroupedDataset) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        embed(data, backbone, out=Path(folder) / "features", batch_size=BATCH, verbose=0)
        return time.perf_counter() - start


def run() -> dict[str, Any]:
    """Time both sides.

    Returns
    -------
    dict
        Images a second of each side (medians), ``ratio`` to the bare forward pass in torch's default layout and
        ``ratio_channels_last`` to it in the other; or ``skipped``, with the reason.
    """
    parquet, file = DATA / "celeba_10k_64px.parquet", DATA / "mobilenet_v2.py"
    if not parquet.is_file() or not file.is_file():
        return {"skipped": f"{parquet.name} and {file.name} are not in {DATA}; set LONGWAY_DATA to where they are"}
    data = read(parquet).take(range(IMAGES))
    backbone = load_backbone(f"{file}:load", size=SIZE, mean=0.5, std=0.5, device="cpu")
    ready = [backbone.prepare(data.X[i : i + BATCH]) for i in range(0, IMAGES, BATCH)]
    scaled = [backbone.transform.scale(batch) for batch in ready if isinstance(batch, torch.Tensor)]
    layouts = {
        "bare": [batch.contiguous() for batch in scaled],
        "bare_channels_last": [batch.contiguous(memory_format=torch.channels_last) for batch in scaled],
    }
    for batches in layouts.values():
        bare_seconds(backbone, batches[:2])  # warm up
    seconds: dict[str, list[float]] = {"embed": [], **{name: [] for name in layouts}}
    for _ in range(REPEATS):
        for name, batches in layouts.items():
            seconds[name].append(bare_seconds(backbone, batches))
        # As fresh as a first run: nothing of the inputs is hashed yet
        seconds["embed"].append(embed_seconds(backbone, data.take(range(IMAGES))))
    speed = {name: IMAGES / statistics.median(values) for name, values in seconds.items()}
    return {
        "images_per_second": speed,
        "ratio": speed["embed"] / speed["bare"],
        "ratio_channels_last": speed["embed"] / speed["bare_channels_last"],
        "images": IMAGES,
        "size": SIZE,
        "batch_size": BATCH,
        "repeats": REPEATS,
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
