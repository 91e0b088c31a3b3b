"""Make an audit by hand, with the texts that a test asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from longway.auditing import (
    Advice,
    Association,
    Audit,
    Candidate,
    Estimate,
    Example,
    MitigationTrial,
    ModelFacts,
    Reliance,
    Skipped,
    Slice,
    Verdict,
)

NAN = float("nan")
N = 60


def candidate(name: str = "place = sea", **changes: Any) -> Candidate:
    """Return a candidate with every field filled; texts that come from users are its name."""
    values = np.tile([0.0, 1.0], N // 2)
    ends = [tuple(Example(row, f"{name} {row}", name, "land", float(end)) for row in range(8)) for end in (0, 1)]
    used = Reliance(
        how="intervention",
        sensitivity=Estimate(0.2, 0.18, 0.22),
        flip_rate=0.3,
        shuffled_accuracy={name: 0.8, "water": 0.7},
        accuracy={name: 0.9, "water": 0.9},
        aligned_accuracy=Estimate(0.97, 0.95, 0.99),
        contradicting_accuracy=Estimate(0.4, 0.3, 0.5),
    )
    change = Estimate(0.2, 0.1, 0.3)
    made = Candidate(
        name=name,
        source="metadata",
        index=0,
        description=f"Whether {name}.",
        suspicion=0.9,
        association=Association(Estimate(0.8, 0.7, 0.85), 1e-9, 1e-8),
        threshold_accuracy=0.9,
        stability=0.95,
        contradicting=12,
        contradicting_share=0.1,
        low=ends[0],
        high=ends[1],
        statement=f"12 samples contradict {name}.",
        reliance=used,
        mitigation_trial=MitigationTrial(
            Estimate(0.4, 0.3, 0.5), Estimate(0.6, 0.5, 0.7), change, change, change, 0.01, 9
        ),
        advice=Advice("rwg", columns=(name,)),
        command=f"longway fit rwg birds.csv --attribute '{name}'",
        python=f"longway.RWG().fit(X, y, groups=audit.pseudo_groups({name!r}))",
        values=values,
        side=(values > 0).astype(np.int8),
    )
    return replace(made, **changes)


def made_slice(name: str = "land", **changes: Any) -> Slice:
    examples = tuple(Example(row, f"{name} {row}", name, "water", NAN) for row in range(5))
    accuracy = Estimate(0.4, 0.3, 0.5)
    place = ("metadata", f"class {name!r} where sea", name, "place = sea")
    made = Slice(*place, 20, 0.2, accuracy, 0.95, 1e-6, 1e-5, True, examples)
    return replace(made, **changes)


def audit(words: str = "place = sea", **changes: Any) -> Audit:
    """Return an audit whose untrusted texts all hold these words."""
    plain = candidate(
        "axis 1",
        source="axis",
        suspicion=0.1,
        reliance=None,
        mitigation_trial=None,
        contradicting=0,
        values=None,
        side=None,
    )
    labels = np.array([words, "water"])[np.arange(N) % 2]
    labels[1] = words  # the larger class, so that the order does not depend on the words
    made = Audit(
        source=words,
        kind="features",
        n=N,
        n_given=N + 2,
        n_fitted=N,
        classes={words: N // 2, "water": N // 2},
        columns=(words,),
        notes=(words,),
        skipped=(Skipped(60, words, words), Skipped(61, "b", words)),
        assumptions=("Axes are linear.",),
        model=ModelFacts("predictions", words, Estimate(0.9, 0.8, 0.95), {words: Estimate(0.9, 0.8, 0.95)}),
        verdict=Verdict(
            "strong evidence", 0.9, words, (f"Because of {words}.", words), "rwg", words, f"longway fit {words}",
            Estimate(0.2, 0.1, 0.3),
        ),
        candidates=(candidate(words), plain),
        slices=(made_slice(words), made_slice("b", confirmed=False, examples=())),
        settings={"seed": 0, words: words},
        seconds=1.5,
        y=labels,
        rows=np.arange(N),
    )  # fmt: skip
    return replace(made, **changes)


def clean(**changes: Any) -> Audit:
    """Return an audit that found nothing."""
    verdict = Verdict("no evidence", 0.1, "", ("Nothing was found.",))
    found = (candidate("axis 0", source="axis", suspicion=0.1),)
    return audit("birds", verdict=verdict, candidates=found, slices=(), skipped=(), notes=(), **changes)
