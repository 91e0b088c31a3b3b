"""Make an explanation by hand, whose untrusted texts all hold the words that a test asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from longway.auditing import Advice
from longway.explaining import Alignment, ClassEdit, Direction, Edits, Explanation, Heat, Neighbour, Reliance
from longway.utils.records import Estimate, Example

N = 40


def explanation(words: str = "land", *, images: bool = True, **changes: Any) -> Explanation:
    """Return an explanation with every field filled."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=N)
    ends = [tuple(Example(row, f"{words} {row}", words, "water", float(row)) for row in range(end, end + 8))
            for end in (0, 20)]  # fmt: skip
    walk = generator.random((9, 3, 12, 12)) if images else None
    axes = tuple(
        Direction(f"axis {k}", k, *ends, 0.9 - k / 10, 0.1 * k, k == 1, Advice("sitarhead", {"axes": [k]}),
                  f"longway fit sitarhead {words}", "longway", values, walk)
        for k in range(5)
    )  # fmt: skip
    there = Estimate(0.5, 0.4, 0.6)
    heat = tuple(Heat(e, {words: words, "b": "water"}, {words: generator.random((5, 5)), "b": np.zeros((5, 5))})
                 for e in ends[0][:4])  # fmt: skip
    reliance = tuple(
        Reliance(f"{words} {k}", words, 7, {words: there, "b": Estimate(0.2, 0.1, 0.3)}, {words: 3.0, "b": -0.1})
        for k in range(30)
    )
    edit = ClassEdit(words, 0.1, 0.8, (Alignment(words, 0.3, 0.9), Alignment("b", -0.1, 0.4)),
                     Direction(words, 0, *ends, values=values))  # fmt: skip
    near = tuple(Neighbour(words, 0.1, a, a if k else ends[1][0], ends[1][k]) for k, a in enumerate(ends[0][:6]))
    made = Explanation(
        source=words,
        kind="images" if images else "features",
        name=words,
        method="SITARHead",
        n=N,
        n_given=N,
        part="test",
        accuracy={words: there, "b": there},
        axes=axes,
        flat=(1,),
        answers=(Direction(words, 1, *ends, values=values), Direction("b", 0, *ends, values=values)),
        heat=heat if images else (),
        reliance=reliance,
        edits=Edits(64, 1, (edit,), near, generator.random((6, 2, 20, 20, 3))),
        curves={words: tuple({"epoch": float(k), "val_average": k / 9} for k in range(9)), "b": ()},
        notes=(words,),
        settings={"n_examples": 6},
        seconds=1.0,
        y=np.array([words, "water"])[np.arange(N) % 2],
        explained=np.arange(N),
        rows=np.arange(N),
        images=generator.random((N, 3, 12, 12), dtype=np.float32) if images else None,
    )
    return replace(made, **changes)
