"""SITAR's ablations: the accuracy of each setting, and the cost of choosing among settings."""

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
"""The paper's claims about its ablations, by part."""

Trial = Mapping[str, Any]
"""The results of a fit with one seed."""

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
    """Return the accuracy of every setting: the paper's ablations next to its claims, then the default's."""
    found = parts(results.sitar_ablations or {})
    if not found:
        return not_measured(COMMAND)
    paper = [part for part in found if part.startswith("paper")]
    ours = [part for part in found if part not in paper]
    words = (
        "Accuracy in % on validation digits, mean ± standard deviation over seeds: at the selected epoch, with colours "
        "as in training and reversed, and after the last epoch, with colours reversed."
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
    """Return a line for each setting; the first one has the part and the paper's claim."""
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


class ChoiceRule(NamedTuple):
    """A rule that chooses among settings by validation data alone.

    Parameters
    ----------
    name : str
    by : str
        The metric of a trial that is maximised.
    competes : callable
        True for trials that it can compare: scores of different rules or data are not comparable.
    """

    name: str
    by: str
    competes: Callable[[Trial], bool]


RULES = [
    ChoiceRule("accuracy on recoloured images", "score", lambda trial: trial["debias_mode"] == "recolouring"),
    ChoiceRule("worst group of pseudo-groups", "score", lambda trial: trial["rule"] == "worst_group"),
    ChoiceRule("accuracy, colours as in training", "id", lambda trial: True),
]


def sitar_choice(results: Results) -> str:
    """Return the accuracy on randomly coloured digits of settings chosen without them, next to the best of all."""
    settings = parts(results.sitar_ablations or {}).get("default", {})
    if not settings:
        return not_measured(COMMAND)
    # A seed whose fits are still running does not have all settings, and its best is not comparable
    seeds = [seed for seed in dict.fromkeys(chain(*settings.values())) if all(seed in t for t in settings.values())]
    rows = [row for rule in RULES for row in _chosen(rule, settings, seeds)]
    words = (
        f"Each seed's choice among {len(settings)} settings of the default. Accuracy in % on validation digits with "
        "colours drawn at random; loss in percentage points."
    )
    columns = ["Chosen by highest", "Seed", "Candidates", "Chosen", "Accuracy", "Best of all", "Loss"]
    return f"{words}\n\n{table(columns, rows)}"


def _chosen(rule: ChoiceRule, settings: Settings, seeds: list[str]) -> list[list[str]]:
    """Return a line for each seed with candidates, and their mean."""
    rows, pairs = [], []
    for seed in seeds:
        trials = {title: trials[seed] for title, trials in settings.items()}
        candidates = [title for title in trials if rule.competes(trials[title])]
        if not candidates:
            continue
        title = max(candidates, key=lambda title: trials[title][rule.by])
        reached, best = trials[title]["random"], max(trial["random"] for trial in trials.values())
        pairs.append((reached, best, best - reached))
        rows.append([rule.name, seed, str(len(candidates)), title, *(f"{100 * share:.1f}" for share in pairs[-1])])
    if len(pairs) > 1:
        rows.append([rule.name, "mean", "–", "–", *map(over_seeds, zip(*pairs, strict=True))])
    return rows
