"""SITAR's ablations: what each setting reaches, and what a choice among settings costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, NamedTuple

from blocks.results import Results
from blocks.text import not_measured, over_seeds, table

COMMAND = "python benchmarks/sitar_ablations.py"
CLAIMS = {
    "paper, beta": "small β: about 10 % with reversed colours",
    "paper, noise": "any noise above 0 helps",
    "paper, consistency": "0 is like ERM, larger is faster and better",
    "paper, scores": "about ERM",
}
"""What the paper says of its ablations, by part."""

Trial = Mapping[str, Any]
"""What a fit with one seed reached."""

Settings = dict[str, dict[str, Trial]]
"""Trials of a part, by setting and seed."""


def parts(record: Mapping[str, Any]) -> dict[str, Settings]:
    """Return the settings with at least one trial, by part; a part and a setting are joined by a colon."""
    found: dict[str, Settings] = {}
    for name, trials in record.items():
        part, _, title = name.partition(": ")
        if trials:
            found.setdefault(part, {})[title] = trials
    return found


def sitar_ablations(results: Results) -> str:
    """Return what every setting reaches: the paper's ablations beside its claims, then the default's."""
    found = parts(results.sitar_ablations or {})
    if not found:
        return not_measured(COMMAND)
    paper = [part for part in found if part.startswith("paper")]
    ours = [part for part in found if part not in paper]
    words = (
        "Accuracy in % on validation digits, mean ± standard deviation over seeds: at the epoch that was chosen, with "
        "colours as in training and reversed, and after the last epoch with colours reversed."
    )
    tables = []
    if paper:
        rows = [row for part in paper for row in _lines(part, found[part], CLAIMS.get(part, ""))]
        tables.append(table([*COLUMNS, "The paper says"], rows))
    if ours:
        tables.append(table(COLUMNS, [row for part in ours for row in _lines(part, found[part])]))
    return "\n\n".join([words, *tables])


COLUMNS = ["Part", "Setting", "Seeds", "As in training", "Reversed", "Reversed, last epoch"]


def _lines(part: str, settings: Settings, *claim: str) -> list[list[str]]:
    """Return a line for each setting; the part, and what the paper claims of it, stand on the first."""
    rows = []
    for number, (title, trials) in enumerate(settings.items()):
        each = list(trials.values())
        reached = [over_seeds(trial[name] for trial in each) for name in ("id", "ood")]
        last = over_seeds(trial["curves"]["ood"][-1] for trial in each)
        first = number == 0
        rows.append(
            [part if first else "", title, str(len(each)), *reached, last, *(words if first else "" for words in claim)]
        )
    return rows


class Way(NamedTuple):
    """A way to choose among settings by validation data alone.

    Parameters
    ----------
    name : str
    by : str
        The figure of a trial whose highest value is chosen.
    competes : callable
        Which trials it can compare: scores of different rules or data are no more or less than each other.
    """

    name: str
    by: str
    competes: Callable[[Trial], bool]


STRATEGIES = [
    Way("accuracy on recoloured images", "score", lambda trial: trial["debias_mode"] == "recolouring"),
    Way("worst group of pseudo-groups", "score", lambda trial: trial["rule"] == "worst_group"),
    Way("accuracy, colours as in training", "id", lambda trial: True),
]


def sitar_choice(results: Results) -> str:
    """Return what the settings chosen without randomly coloured digits reach on them, beside the best of all."""
    settings = parts(results.sitar_ablations or {}).get("default", {})
    if not settings:
        return not_measured(COMMAND)
    # A seed that is being fitted does not hold all settings yet, and its best is not comparable
    seeds = [seed for seed in dict.fromkeys(chain(*settings.values())) if all(seed in t for t in settings.values())]
    rows = [row for way in STRATEGIES for row in _chosen(way, settings, seeds)]
    words = (
        f"Each seed's choice among {len(settings)} settings of the default. Accuracy in % on validation digits with "
        "colours drawn at random; loss in percentage points."
    )
    columns = ["Highest", "Seed", "Candidates", "Chosen", "Its accuracy", "Best of all", "Loss"]
    return f"{words}\n\n{table(columns, rows)}"


def _chosen(way: Way, settings: Settings, seeds: list[str]) -> list[list[str]]:
    """Return a line for each seed in which a setting can be chosen, and their mean."""
    rows, pairs = [], []
    for seed in seeds:
        trials = {title: trials[seed] for title, trials in settings.items()}
        candidates = [title for title in trials if way.competes(trials[title])]
        if not candidates:
            continue
        title = max(candidates, key=lambda title: trials[title][way.by])
        reached, best = trials[title]["random"], max(trial["random"] for trial in trials.values())
        pairs.append((reached, best, best - reached))
        rows.append([way.name, seed, str(len(candidates)), title, *(f"{100 * share:.1f}" for share in pairs[-1])])
    if len(pairs) > 1:
        rows.append([way.name, "mean", "–", "–", *map(over_seeds, zip(*pairs, strict=True))])
    return rows
