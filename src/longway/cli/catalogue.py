"""`longway bench list` and `longway bench card`: what there is to compare on."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from longway.cli._options import AsJson


def list_(as_json: AsJson = False) -> None:
    """List the benchmarks, what their shortcut is, and what they need."""
    from longway.cli import _printing
    from longway.datasets import BENCHMARKS

    if as_json:
        _printing.data([_card(name) for name in BENCHMARKS])
        return
    for name, cls in BENCHMARKS.items():
        _printing.say(f"{name}: {cls.card.title}")
        _printing.say(f"    shortcut: {cls.card.shortcut}")
        _printing.say(f"    needs: {cls.card.obtain}")


def card(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in `bench list`.", show_default=False)],
    check: Annotated[
        bool, typer.Option("--check", help="Build it and compare its group counts with the published ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a benchmark is, where it comes from, and how to get it."""
    from longway.cli import _printing

    about = _card(name)
    built = _built(name) if check else None
    if as_json:
        _printing.data(about if built is None else {**about, "built": built})
        return
    _printing.say(f"{about['title']} ({name})")
    for key in ("core", "shortcut", "source", "licence", "obtain"):
        _printing.say(f"  {key}: {about[key]}")
    _printing.say(f"  stands for it in a ranking: {about['metric'][1].replace('_', ' ')} on {about['metric'][0]}")
    for key, value in about["options"].items():
        _printing.say(f"  --option {key}={json.dumps(value)}")
    for part, counts in about["counts"].items():
        _printing.say(f"  published counts, {part}: " + ", ".join(f"{group} {n:,}" for group, n in counts.items()))
    for file, digest in about["files"].items():
        _printing.say(f"  file {file}" + (f", content hash {digest}" if digest else ""))
    if built is not None:
        for part, counts in built["counts"].items():
            _printing.say(f"  built, {part}: " + ", ".join(f"{group} {n:,}" for group, n in counts.items()))
        for line in built["differences"]:
            _printing.say(f"  DIFFERS: {line}")


def _card(name: str) -> dict[str, Any]:
    from dataclasses import MISSING, asdict, fields

    from longway.bench.prepared import benchmark_class

    cls = benchmark_class(name)
    options = {f.name: f.default for f in fields(cls) if f.default is not MISSING}  # type: ignore[arg-type]
    return {"name": name, **asdict(cls.card), "options": options}


def _built(name: str) -> dict[str, Any]:
    """Return the group counts of a benchmark as it is built here, and where they differ from the published ones."""
    import numpy as np

    from longway.bench.prepared import benchmark_class
    from longway.datasets import check_counts

    benchmark = benchmark_class(name).with_options({})
    parts = benchmark.build(0)
    counts = {}
    for part, data in parts.items():
        kinds = np.asarray(data.y if data.groups is None else data.groups)
        names, n = np.unique(kinds, return_counts=True)
        counts[part] = dict(zip(map(str, names.tolist()), n.tolist(), strict=True))
    return {"counts": counts, "differences": check_counts(parts, benchmark.card)}
