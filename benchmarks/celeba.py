"""The main job on real images, end to end: CelebA faces through a backbone file to saved heads and their group table.

``python benchmarks/celeba.py`` embeds the 10,000 faces once, then fits every method with its defaults on three splits
by identity and counts the test part's groups. Nothing is tuned on it: the test part is looked at once, here. Writes
results/celeba.json.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from longway import ERM, HSFM, RWG, evaluate_groups, load, read, save
from longway.backbones import load_backbone
from longway.backbones.embed import embed
from longway.data import GroupedDataset
from longway.methods._base import Method
from longway.metrics.group_metrics import summarise

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LONGWAY_DATA", ROOT.parent / "shared" / "data"))
LABEL, ATTRIBUTE, SPLITS, SIZE = "Wavy_Hair", "Male", 3, 96

SETTINGS: list[tuple[str, Method, str]] = [
    ("ERM", ERM(), "none"),
    ("HSFM", HSFM(), "none"),
    ("HSFM, validation groups", HSFM(), "val"),
    ("RWG, inferred groups", RWG(), "none"),
    ("RWG, training groups", RWG(), "train"),
]


def fit_and_count(method: Method, data: GroupedDataset, use: str, folder: Path) -> dict[str, Any]:
    """Fit on the train part, save, load, and count the test part's groups."""
    train, val, test = (data.part(name) for name in ("train", "val", "test"))
    began = time.perf_counter()
    eval_set = (val.X, val.y) if use == "none" else (val.X, val.y, val.groups)
    method.fit(train.X, train.y, groups=train.groups if use == "train" else None, eval_set=eval_set)
    seconds = time.perf_counter() - began
    save(method, folder / "head.safetensors")
    metrics = evaluate_groups(test.y, load(folder / "head.safetensors").predict(test.X), test.groups)
    return {
        "supervision": method.supervision_,
        "seconds": seconds,
        "average_accuracy": metrics.average_accuracy,
        "worst_group_accuracy": metrics.worst_group_accuracy,
        "groups": metrics.accuracy_by_group,
        "counts": metrics.to_dict(),
    }


def run() -> dict[str, Any]:
    """Run all settings on all splits; means, standard deviations and every trial's counts."""
    parquet, backbone = DATA / "celeba_10k_64px.parquet", DATA / "mobilenet_v2.py"
    if not parquet.is_file() or not backbone.is_file():
        return {"skipped": f"{parquet.name} and {backbone.name} are not in {DATA}; set LONGWAY_DATA to where they are"}
    trials: dict[str, list[dict[str, Any]]] = {name: [] for name, _, _ in SETTINGS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder = load_backbone(f"{backbone}:load", size=SIZE, mean=0.5, std=0.5)
        embed(read(parquet), encoder, out=folder / "features")
        for seed in range(SPLITS):
            data = read(folder / "features", label=LABEL, attributes=ATTRIBUTE, split_by="identity", seed=seed)
            sizes = data.parts
            for setting, method, use in SETTINGS:
                trials[setting].append(fit_and_count(method.set_params(random_state=seed), data, use, folder))
                print(setting, seed, round(trials[setting][-1]["worst_group_accuracy"], 3), flush=True)
    return {
        "task": {"label": LABEL, "attribute": ATTRIBUTE, "splits": SPLITS, **sizes},
        "backbone": f"{backbone.name}, ImageNet, {SIZE} pixels",
        "runs": [_summary(setting, done) for setting, done in trials.items()],
    }


def _summary(setting: str, done: list[dict[str, Any]]) -> dict[str, Any]:
    line: dict[str, Any] = {"setting": setting, "method": setting.split(",")[0], "supervision": done[0]["supervision"]}
    for figure in ("average_accuracy", "worst_group_accuracy", "seconds"):
        line[figure], line[f"{figure}_std"] = summarise(trial[figure] for trial in done)
    line["groups"] = {name: summarise(t["groups"][name] for t in done).mean for name in done[0]["groups"]}
    return {**line, "trials": [trial["counts"] for trial in done]}


if __name__ == "__main__":
    results = ROOT / "results" / "celeba.json"
    results.write_text(json.dumps(run(), indent=2) + "\n")
    print(f"written: {results.relative_to(ROOT)}")
