"""The data of one seed, built once, cached on disk and memory-mapped by every trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from longway.bench.own import OwnData
from longway.bench.spec import FORMAT, DataSpec
from longway.data.dataset import GroupedDataset
from longway.data.samples import Samples
from longway.data.validation import check_numbers
from longway.datasets import BENCHMARKS, Benchmark, Parts
from longway.groups import infer_groups
from longway.methods import ERM
from longway.utils.errors import CorruptFileError, LongwayError, nearest
from longway.utils.storage import atomic_directory, cache_root, hash_array, hash_json, write_json
from longway.utils.threads import limited_threads

FOR_TRAINING = ("train", "val", "val_balanced", "val_ood")
"""The parts that a fit may see; all others are tests."""

META = "meta.json"


def benchmark_class(name: str) -> type[Benchmark]:
    """Return a benchmark's class.

    Raises
    ------
    LongwayError
        There is none of that name.
    """
    known: dict[str, type[Benchmark]] = {**BENCHMARKS, OwnData.name: OwnData}
    if name not in known:
        raise LongwayError(f"benchmark {name!r} is unknown; {nearest(name, known)}")
    return known[name]


def data_spec(name: str, options: Mapping[str, Any], features: Mapping[str, Any] | None, title: str = "") -> DataSpec:
    """Return the specification of a benchmark's data, with defaults filled in and raw files checked."""
    benchmark = benchmark_class(name).with_options(options)
    full = json.loads(json.dumps(benchmark.options()))
    if features is not None:
        ERM.check_names(features)
        features = dict(features)
    if not title:
        words = [str(value) if key == "source" else f"{key}={value}" for key, value in options.items()]
        words += ["ERM features"] if features is not None else []
        title = f"{name} ({', '.join(words)})" if words else name
    return DataSpec(name, full, benchmark.raw_fingerprint(), benchmark.version, features, title)


@dataclass(frozen=True)
class Prepared:
    """The parts of a benchmark for one seed.

    Parameters
    ----------
    hash : str
        Of all arrays of all parts.
    """

    hash: str
    _parts: Parts
    _groups: dict[str, np.ndarray] = field(default_factory=dict)

    def for_training(self, validation: str) -> tuple[GroupedDataset, GroupedDataset]:
        """Return training and validation data: all that a fit and its selection may use."""
        return self._parts["train"], self._parts["val_balanced" if validation == "balanced" else "val"]

    def tests(self) -> Parts:
        """Return the test parts; only `reveal_trial` asks for them, once per selected fit."""
        return {name: part for name, part in self._parts.items() if name not in FOR_TRAINING}

    def inferred(self, validation: str) -> np.ndarray:
        """Return groups of the validation data inferred from shortcut axes of the training data, (n,) int64."""
        if not self._groups:
            X, y = arrays(self._parts["train"])
            found = infer_groups(X, y, "axes", device="cpu")
            classes = np.unique(y)
            for name in ("val", "val_balanced"):
                if name in self._parts:
                    X, y = arrays(self._parts[name])
                    codes = np.searchsorted(classes, y)
                    self._groups[name] = found.assign(Samples(check_numbers(X, "X"), codes, np.ones(len(codes))))
        return self._groups["val_balanced" if validation == "balanced" else "val"]

    @property
    def train_counts(self) -> dict[str, int]:
        """Number of training samples in each group."""
        groups = self._parts["train"].groups
        if groups is None:
            return {}
        names, counts = np.unique(groups, return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


def arrays(part: GroupedDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and labels of a part.

    Raises
    ------
    LongwayError
        It has none, or inputs that are no array.
    """
    if not isinstance(part.X, np.ndarray) or part.y is None:
        raise LongwayError(f"{part.source} must hold arrays and labels: name a label, and a backbone or a size")
    return part.X, np.asarray(part.y)


_KEPT: dict[tuple[str, int], Prepared] = {}
"""The data that this process read last; trials are ordered by data."""


def prepare(spec: DataSpec, seed: int) -> Prepared:
    """Return the data of a seed, building them if necessary.

    Raises
    ------
    LongwayError
        A raw file is missing, an option impossible, the disk full.
    """
    if (spec.key, seed) not in _KEPT:
        made = _in_place(spec, seed) if benchmark_class(spec.benchmark).in_place else _from_cache(spec, seed)
        while len(_KEPT) >= 2:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[spec.key, seed] = made
    return _KEPT[spec.key, seed]


def _in_place(spec: DataSpec, seed: int) -> Prepared:
    """Return data that are on disk already."""
    return Prepared(hash_json([spec.key, seed]), _build(spec, seed))


def _from_cache(spec: DataSpec, seed: int) -> Prepared:
    """Return data from the cache; the first process to need them builds them."""
    folder = cache_root() / "bench" / spec.key / str(seed)
    if not (folder / META).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{seed}.lock"):
            if not (folder / META).is_file():
                _write(folder, _build(spec, seed))
    return _read(folder)


def _build(spec: DataSpec, seed: int) -> Parts:
    if spec.features is not None:
        return _features(prepare(DataSpec(spec.benchmark, spec.options, spec.raw, spec.version), seed), spec, seed)
    parts = benchmark_class(spec.benchmark).with_options(spec.options).build(seed)
    for name in ("train", "val", "test"):
        if name not in parts:
            raise LongwayError(f"benchmark {spec.benchmark} has no {name!r} part: give a split with all three")
    if "val_balanced" not in parts and parts["val"].groups is not None:
        parts["val_balanced"] = _balanced(parts["val"], seed)
    return parts


def _balanced(val: GroupedDataset, seed: int) -> GroupedDataset:
    """Return as many validation samples of each group as the smallest has."""
    generator = np.random.default_rng(seed)
    assert val.groups is not None
    _, codes, counts = np.unique(val.groups, return_inverse=True, return_counts=True)
    rows = [generator.permutation(np.flatnonzero(codes == g))[: counts.min()] for g in range(len(counts))]
    return val.take(np.sort(np.concatenate(rows)))


def _features(images: Prepared, spec: DataSpec, seed: int) -> Parts:
    """Train an ERM network on the training images and return its features of every part."""
    train, val = images.for_training("as_train")
    network = ERM(**{"random_state": seed, **(spec.features or {})})
    with limited_threads(1):
        network.fit(*arrays(train), eval_set=arrays(val))
    return {
        name: GroupedDataset(
            network.features(arrays(part)[0]), part.y, groups=part.groups, label=part.label, source=part.source
        )
        for name, part in images._parts.items()
    }


def _write(folder: Path, parts: Parts) -> None:
    meta: dict[str, Any] = {"format": FORMAT, "parts": {}}
    with atomic_directory(folder, overwrite=True) as partial:
        for name, part in parts.items():
            X, y = arrays(part)
            kept = {"X": X, "y": y}
            names: list[str] | None = None
            if part.groups is not None:
                found, codes = np.unique(part.groups, return_inverse=True)
                names, kept["groups"] = found.tolist(), codes.astype(np.int16)
            for kind, array in kept.items():
                np.save(partial / f"{name}.{kind}.npy", array, allow_pickle=False)
            hashes = {kind: hash_array(array) for kind, array in kept.items()}
            meta["parts"][name] = {"groups": names, "hashes": hashes, "label": part.label, "source": part.source}
        meta["hash"] = hash_json(meta["parts"])
        write_json(partial / META, meta)


def _read(folder: Path) -> Prepared:
    try:
        meta = json.loads((folder / META).read_bytes())
        parts: Parts = {}
        for name, about in meta["parts"].items():
            X = np.load(folder / f"{name}.X.npy", mmap_mode="r", allow_pickle=False)
            y = np.load(folder / f"{name}.y.npy", allow_pickle=False)
            groups = None
            if about["groups"] is not None:
                groups = np.array(about["groups"])[np.load(folder / f"{name}.groups.npy", allow_pickle=False)]
            parts[name] = GroupedDataset(X, y, groups=groups, label=about["label"], source=about["source"])
        return Prepared(meta["hash"], parts)
    except (OSError, ValueError, KeyError) as error:
        raise CorruptFileError(f"{folder} is damaged: delete it, and it is made again") from error
