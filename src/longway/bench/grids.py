"""A comparison as grids of words, independent of the output format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from longway.bench.costs import Cost
from longway.bench.published import Number, Pair, Published, Setting
from longway.bench.statistics import Estimate, Figure, Rank
from longway.bench.table import SUPERVISION, TEST, Block, Failure, Line, Table

MISSING = "–"

WORDS = {
    "worst_group": "worst group",
    "average": "average",
    "reweighted_average": "average by training shares",
    "balanced": "balanced",
    "worst_class": "worst class",
}


@dataclass(frozen=True)
class Grid:
    """A table of formatted cells.

    Parameters
    ----------
    title : str
    header : sequence of str
    rows : sequence of sequences of str
    notes : sequence of str
        Lines below it.
    best : int, optional
        Row that stands out.
    key : int
        Column that stands for the rest.
    worth : sequence of int
        Of each column: those of the lowest are left out first where there is no room; all, if not given.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    best: int | None = None
    key: int = 0
    worth: Sequence[int] = field(default_factory=tuple)


def grids(table: Table) -> list[Grid]:
    """Return all parts of a table: blocks, rankings and failures."""
    rankings = [
        ranking_grid(protocol, ranks)
        for protocol, ranks in table.rankings.items()
        if len(ranks) > 1 and len({benchmark for rank in ranks for benchmark in rank.by_benchmark}) > 1
    ]
    return [*(block_grid(block) for block in table.blocks), *rankings, *failures(table)]


def block_grid(block: Block) -> Grid:
    """Return the methods on one benchmark under one protocol, in percent."""
    notes = Notes()
    others = [key for key in block.columns if key != block.metric]
    published = any(line.published for line in block.lines)
    header = ["Method", "Group labels", "Seeds", f"{title(block.metric)} *", "95 % interval"]
    header += [f"Against {block.baseline}", *(title(key) for key in others)]
    worth = [9, 6, 7, 9, 4, 8, *(3 if key[0] == TEST else 2 for key in others)]
    rows = []
    for line in block.lines:
        own = line.figures.get(block.metric)
        row = [line.method + " (oracle)" * block.oracle, supervision(line), seeds(line), estimate(own), interval(own)]
        row += [difference(line.differences.get(block.metric)), *(estimate(line.figures.get(key)) for key in others)]
        rows.append(row + [notes.cited(line.published, block.metric)] * published)
    text = f"{block.benchmark}: {block.protocol}"
    if block.oracle:
        text += " - ORACLE, settings chosen by the test data: what could be reached, not what a method does"
    return Grid(
        text,
        header + ["Published"] * published,
        rows,
        [
            "* stands for the benchmark; differences are of it. Percent; mean ± standard deviation over seeds.",
            *notes.marked,
            *(warned(line.method, text, which) for line in block.lines for text, which in line.warnings.items()),
        ],
        best(block),
        3,
        worth + [5] * published,
    )


def warned(method: str, text: str, which: Sequence[int]) -> str:
    """Return the warnings of a method's fits."""
    return f"{method}, seed{'s' * (len(which) > 1)} {', '.join(map(str, which))}: {text}"


class Notes:
    """The sources of the published numbers, each once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def cited(self, published: Iterable[Published], metric: Figure) -> str:
        """Return numbers with footnote marks, and remember their meaning; the metric's mark comes first."""
        cited = []
        for each in published:
            names = sorted(each.figures, key=lambda name: name != ".".join(metric))
            shown = " / ".join(words(_key(name)) for name in names)
            line = f"{each.source}: {shown}; {each.backbone}; {each.protocol}."
            if line not in self.lines:
                self.lines.append(line)
            numbers = " / ".join(number(each.figures[name]) for name in names)
            cited.append(f"{numbers} [{self.lines.index(line) + 1}]")
        return ", ".join(cited) or MISSING

    @property
    def marked(self) -> list[str]:
        """The sources with their marks."""
        return [f"[{place}] {line}" for place, line in enumerate(self.lines, start=1)]


def ranking_grid(protocol: str, ranks: Sequence[Rank]) -> Grid:
    """Return methods by their mean rank."""
    benchmarks = list(dict.fromkeys(name for rank in ranks for name in rank.by_benchmark))
    rows = [
        [rank.method, f"{rank.mean:.2f}", f"{rank.low:.2f} to {rank.high:.2f}", f"{rank.first:.0%}"]
        + [f"{rank.by_benchmark[name]:g}" if name in rank.by_benchmark else MISSING for name in benchmarks]
        for rank in ranks
    ]
    header = ["Method", "Mean rank", "95 % interval", "Best in", *benchmarks]
    notes = [
        f"1 is the best of {len(ranks)}. Interval over other seeds and test samples of the same benchmarks; 'best in' "
        "is the share of such replicates in which no method has a better mean rank."
    ]
    return Grid(f"Ranking: {protocol}", header, rows, notes, 0, 1, [9, 8, 7, 6, *(1 for _ in benchmarks)])


def failures(table: Table) -> list[Grid]:
    """Return the failures, if there are any."""
    return [failure_grid(table.failures)] if table.failures else []


def failure_grid(failed: Sequence[Failure]) -> Grid:
    """Return the trials that ended with an error."""
    alike: dict[tuple[str, ...], list[Failure]] = {}
    for each in failed:
        where = (each.method, each.benchmark, each.protocol, f"{each.type}: {each.message}")
        alike.setdefault(where, []).append(each)
    rows = [
        [*where, ", ".join(map(str, sorted({f.seed for f in found}))), str(len(found)), settings(found[0].parameters)]
        for where, found in alike.items()
    ]
    header = ["Method", "Benchmark", "Protocol", "Error", "Seeds", "Trials", "Parameters of the first"]
    return Grid("Trials that failed", header, rows, key=3, worth=[8, 5, 3, 9, 6, 7, 1])


def cost_grid(costs: Sequence[Cost]) -> Grid:
    """Return the costs of protocols, in percent."""
    rows = [
        [
            c.benchmark,
            c.method,
            c.protocol,
            words(c.metric),
            estimate(c.there),
            estimate(c.here),
            difference(c.difference),
        ]
        for c in costs
    ]
    reference = costs[0].reference if costs else "reference"
    header = ["Benchmark", "Method", "Protocol", "Figure", reference, "Here", "Difference"]
    return Grid(f"Against '{reference}'", header, rows, key=6, worth=[7, 8, 8, 2, 4, 5, 9])


def pair_grids(name: str, pairs: Sequence[Pair]) -> list[Grid]:
    """Return published numbers next to ours, with the settings behind them."""
    return [pair_grid(name, pairs), *([setting_grid(pairs)] if any(pair.setting for pair in pairs) else [])]


def pair_grid(name: str, pairs: Sequence[Pair]) -> Grid:
    """Return published numbers next to ours, in percent."""
    rows = []
    for pair in pairs:
        apart = MISSING if pair.difference is None else f"{100 * pair.difference:+.1f}".replace("-", "−")
        ours = MISSING if pair.ours is None else number(Number(*pair.ours))
        method = pair.method or f"{pair.printed} (not run)"
        rows.append(
            [pair.benchmark, method, words(_key(pair.figure)), number(pair.theirs), ours, apart, str(pair.seeds)]
        )
    header = ["Benchmark", "Method", "Figure", "Published", "Here", "Difference", "Seeds"]
    notes = [f"Published: {each.source}; {each.backbone}; {each.protocol}." for each in (p.published for p in pairs)]
    return Grid(
        f"{name}: published and here", header, rows, list(dict.fromkeys(notes)), key=5, worth=[6, 9, 8, 7, 7, 9, 5]
    )


def setting_grid(pairs: Sequence[Pair]) -> Grid:
    """Return the settings behind our numbers, so that a difference can be judged."""
    rows = dict.fromkeys(
        (pair.benchmark, pair.method, _setting(pair.setting)) for pair in pairs if pair.setting is not None
    )
    return Grid("Ours were run with", ["Benchmark", "Method", "Setting"], [list(row) for row in rows], worth=[6, 9, 8])


def _setting(setting: Setting) -> str:
    words = [] if setting.samples is None else [f"{setting.samples:,} training samples"]
    words += [settings(setting.options)] if setting.options else []
    if setting.features is not None:
        words.append(f"features of an ERM network ({settings(setting.features)})")
    parameters = settings(setting.parameters)
    if setting.paper:
        parameters = f"published setting {setting.paper}" + (f", but {parameters}" if setting.parameters else "")
    number = len(setting.seeds)
    return "; ".join([*words, parameters, setting.protocol, f"{number} seed" + "s" * (number != 1)])


def best(block: Block) -> int | None:
    """Return the index of the line with the highest value."""
    values = [line.figures[block.metric].mean if block.metric in line.figures else math.nan for line in block.lines]
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    return max(known, key=lambda place: values[place], default=None)


def words(key: Figure) -> str:
    """Return the name of a metric, with the test part unless that is the main one.

    Examples
    --------
    >>> words(("test", "worst_group")), words(("ood", "average"))
    ('worst group', 'ood average')
    """
    part, name = key
    word = WORDS.get(name, name.replace("_", " "))
    return word if part == TEST else f"{part} {word}"


def title(key: Figure) -> str:
    """Return the name of a metric as a heading."""
    word = words(key)
    return word[:1].upper() + word[1:]


def _key(name: str) -> Figure:
    part, figure = name.split(".")
    return part, figure


def supervision(line: Line) -> str:
    """Return the group labels that a method used."""
    return SUPERVISION.get(line.supervision, line.supervision) or MISSING


def seeds(line: Line) -> str:
    """Return the number of seeds with a result, and how many failed."""
    return f"{len(line.seeds)} ({len(line.missing)} failed)" if line.missing else str(len(line.seeds))


def estimate(value: Estimate | None) -> str:
    """Return mean and standard deviation in percent."""
    return MISSING if value is None or not value.seeds else number(Number(value.mean, value.std))


def number(value: Number) -> str:
    """Return a number in percent, with its standard deviation if known."""
    mean, std = value
    return f"{100 * mean:.1f}" if std is None or math.isnan(std) else f"{100 * mean:.1f} ± {100 * std:.1f}"


def interval(value: Estimate | None) -> str:
    """Return an interval in percent."""
    return MISSING if value is None or not value.seeds else f"{100 * value.low:.1f} to {100 * value.high:.1f}"


def difference(value: Estimate | None) -> str:
    """Return a difference in points, with its interval."""
    if value is None or not value.seeds:
        return MISSING
    low, mean, high = (f"{100 * x:+.1f}".replace("-", "−") for x in (value.low, value.mean, value.high))
    return f"{mean} ({low} to {high})"


def settings(parameters: object) -> str:
    """Return parameters on one line."""
    pairs = parameters.items() if isinstance(parameters, Mapping) else ()
    return (
        ", ".join(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in pairs)
        or "defaults"
    )
