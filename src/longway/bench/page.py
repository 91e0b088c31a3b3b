"""The report of a comparison: results, their uncertainty, and how they were obtained."""

from __future__ import annotations

import math
from collections.abc import Sequence

from longway._version import __version__
from longway.bench import grids
from longway.bench.costs import Cost
from longway.bench.protocol import Protocol
from longway.bench.published import Number, Pair
from longway.bench.statistics import NOTHING, Rank
from longway.bench.table import Block, Line, Table
from longway.report import Block as PageBlock
from longway.report import (
    Callout,
    Column,
    Figure,
    KeyFigure,
    KeyFigures,
    MeanStd,
    Page,
    Section,
    Tab,
    Tabs,
    Text,
)
from longway.report import Table as PageTable
from longway.report.comparison import Dot, dots, ranks

LABELS = {
    "none": "No group label is seen, in training or in validation.",
    "infer": "No group label is seen; those of the validation data are inferred from shortcut axes.",
    "val": "The validation data have group labels; the training data have none.",
    "train": "Training and validation data have group labels.",
}
RULES = {
    "worst_group": "accuracy of the worst validation group",
    "worst_class": "recall of the worst validation class",
    "balanced": "mean recall of the validation classes",
    "average": "average validation accuracy",
    "own": "the rule that is its method's default",
    "oracle": "the test data themselves: an oracle, not a result",
}


def report(table: Table, *, costs: Sequence[Cost] = (), pairs: Sequence[Pair] = (), title: str = "") -> Page:
    """Lay out a comparison on one page.

    Parameters
    ----------
    table : Table
    costs : sequence of Cost, optional
        From `longway.bench.costs.cost_of_selection`.
    pairs : sequence of Pair, optional
        From `longway.bench.published.compare`.
    title : str, optional
        Of the page.

    Returns
    -------
    Page
        ``.save(path)`` writes it as one HTML file.
    """
    benchmarks = list(dict.fromkeys(block.benchmark for block in table.blocks))
    methods = list(dict.fromkeys(line.method for block in table.blocks for line in block.lines))
    protocols = list(dict.fromkeys(block.protocol for block in table.blocks))
    sections = [Section("Summary", _summary(table))]
    ranked = [tab for tab in (_ranked(*each) for each in table.rankings.items()) if tab is not None]
    if ranked:
        sections.append(Section("Ranking", [Tabs(ranked)], lead="Mean rank over benchmarks, with its uncertainty."))
    for benchmark in benchmarks:
        blocks = [block for block in table.blocks if block.benchmark == benchmark]
        sections.append(Section(benchmark, [Tabs([Tab(block.protocol, _block(block)) for block in blocks])]))
    if costs:
        sections.append(Section("What each protocol costs", _costs(costs)))
    if pairs:
        sections.append(Section("Beside published numbers", _pairs(pairs)))
    sections.append(Section("How it was done", _how(table)))
    if table.failures:
        grid = grids.failure_grid(table.failures)
        lead = "A trial that fails stops no other; its error is kept."
        sections.append(Section("Failures", [PageTable(list(grid.header), grid.rows)], lead=lead))
    facts = {
        "Methods": str(len(methods)),
        "Benchmarks": str(len(benchmarks)),
        "Protocols": str(len(protocols)),
        "Trials": str(sum(line.tried for block in table.blocks for line in block.lines)),
        "Version": __version__,
    }
    words = title or f"{_count(len(methods), 'method')} on {_count(len(benchmarks), 'benchmark')}"
    footer = f"Made by longway bench, version {__version__}. This file loads nothing from the network."
    return Page(words, "Accuracy where shortcuts fail, over seeds.", sections, facts, footer)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + "s" * (number != 1)


def _summary(table: Table) -> list[PageBlock]:
    """Return the best method of the first non-oracle protocol against the baseline, and a table of all benchmarks."""
    honest = [block for block in table.blocks if not block.oracle] or list(table.blocks)
    block = honest[0]
    place = grids.best(block)
    blocks: list[PageBlock] = []
    if place is not None:
        line = block.lines[place]
        base = next((each for each in block.lines if each.method == block.baseline), line)
        words = grids.words(block.metric)
        own, other = line.figures[block.metric], base.figures.get(block.metric, NOTHING)
        apart = line.differences.get(block.metric)
        figures = [
            KeyFigure(f"{other.mean:.1%}", f"{words}, {base.method}", _spread(other.std, other.seeds), "bad"),
            KeyFigure(f"{own.mean:.1%}", f"{words}, {line.method}", _spread(own.std, own.seeds), "good"),
        ]
        if apart is not None:
            low, mean, high = (f"{100 * x:+.1f}".replace("-", "−") for x in (apart.low, apart.mean, apart.high))
            figures.append(KeyFigure(mean, f"points above {base.method}", f"95 % interval {low} to {high}"))
        blocks = [Text(f"{block.benchmark}, {block.protocol}:"), KeyFigures(figures if apart else figures[1:])]
    return [*blocks, _overview(honest)]


def _overview(blocks: Sequence[Block]) -> PageTable:
    """Return the main metric of each benchmark under every non-oracle protocol."""
    benchmarks = list(dict.fromkeys(block.benchmark for block in blocks))
    lines = list(dict.fromkeys((block.protocol, line.method) for block in blocks for line in block.lines))
    cells = {
        (block.benchmark, block.protocol, line.method): line.figures.get(block.metric, NOTHING)
        for block in blocks
        for line in block.lines
    }
    rows = [
        [method, protocol, *(_cell(cells.get((name, protocol, method), NOTHING)) for name in benchmarks)]
        for protocol, method in lines
    ]
    metrics = {block.benchmark: grids.words(block.metric) for block in blocks}
    columns = [Column(name, f"{metrics[name]}, percent", ".1%") for name in benchmarks]
    caption = (
        "The figure that stands for each benchmark; mean and standard deviation over seeds. Select a heading to sort."
    )
    return PageTable(["Method", "Protocol", *columns], rows, caption)


def _cell(estimate: grids.Estimate) -> MeanStd:
    return MeanStd(estimate.mean, estimate.std)


def _spread(std: float, seeds: int) -> str:
    return "one seed" if math.isnan(std) else f"± {std:.1%} over {seeds} seeds"


def _ranked(protocol: str, found: Sequence[Rank]) -> Tab | None:
    if len(found) < 2 or max(len(rank.by_benchmark) for rank in found) < 2:
        return None
    lines = [Dot(rank.method, rank.mean, rank.low, rank.high) for rank in found]
    picture = ranks(lines, [rank.by_benchmark for rank in found], highlight=found[0].method)
    grid = grids.ranking_grid(protocol, found)
    rows = [
        [r.method, r.mean, f"{r.low:.2f} to {r.high:.2f}", r.first, *(r.by_benchmark.get(n) for n in grid.header[4:])]
        for r in found
    ]
    columns: list[Column | str] = [
        "Method",
        Column("Mean rank", format=".2f"),
        "95 % interval",
        Column("Best in", format=".0%"),
    ]
    columns += [Column(name, format=".2g") for name in grid.header[4:]]
    words = "Bars: 95 % intervals. Small dots: single benchmarks."
    return Tab(protocol, [Figure(picture, "Mean rank of each method", words), PageTable(columns, rows, grid.notes[0])])


def _block(block: Block) -> list[PageBlock]:
    blocks: list[PageBlock] = []
    if block.oracle:
        words = "Settings were chosen by the test data. This is what could be reached, not what a method does."
        blocks.append(Callout(words, "Oracle", "bad"))
    place = grids.best(block)
    if place is not None:
        best = block.lines[place].method
        lines = [_dot(line, block) for line in block.lines]
        label = f"{grids.words(block.metric)} accuracy"
        picture = dots(lines, label, highlight=best, baseline=block.baseline, oracle=block.oracle)
        words = f"Bars: 95 % intervals. Small dots: single seeds. Dashed: {block.baseline}."
        if any(not math.isnan(line.printed) for line in lines):
            words += " Diamonds: published, under conditions of their own."
        blocks.append(Figure(picture, f"{label} of each method on {block.benchmark}", words))
    blocks.append(_results(block))
    tabs = [Tab(line.method, [_groups(line)]) for line in block.lines if line.groups]
    return [*blocks, *_published(block), *([Tabs(tabs)] if tabs else [])]


def _dot(line: Line, block: Block) -> Dot:
    estimate = line.figures.get(block.metric, NOTHING)
    printed = [each.figures[name].mean for each in line.published if (name := ".".join(block.metric)) in each.figures]
    return Dot(
        line.method, estimate.mean, estimate.low, estimate.high, line.single, printed[0] if printed else math.nan
    )


def _results(block: Block) -> PageTable:
    grid = grids.block_grid(block)
    own, others = block.metric, [key for key in block.columns if key != block.metric]
    columns: list[Column | str] = ["Method", "Group labels", "Seeds"]
    columns += [Column(grid.header[3], "Stands for the benchmark.", ".1%"), "95 % interval"]
    columns += [Column(grid.header[5], "Percentage points, with the 95 % interval of the paired difference.")]
    columns += [Column(name, format=".1%") for name in grid.header[6 : 6 + len(others)]]
    rows = [
        [
            *(words[0], words[1], _unbroken(words[2]), _cell(line.figures.get(own, NOTHING))),
            *(_unbroken(word) for word in words[4:6]),
            *(_cell(line.figures.get(key, NOTHING)) for key in others),
        ]
        for line, words in zip(block.lines, grid.rows, strict=True)
    ]
    place = grids.best(block)
    caption = "Mean and standard deviation over seeds. Select a heading to sort."
    return PageTable(columns, rows, caption, highlight_rows=() if place is None else {place})


def _published(block: Block) -> list[PageBlock]:
    found = {(each.source, each.title): each for line in block.lines for each in line.published}
    names = list(dict.fromkeys(name for each in found.values() for name in each.figures))
    rows = [
        [each.title, *(MeanStd(*_filled(each.figures.get(name))) for name in names), each.source, each.backbone]
        for each in found.values()
    ]
    keys = ((part, figure) for part, figure in (name.split(".") for name in names))
    columns = [Column(grids.title(key), format=".1%") for key in keys]
    protocols = dict.fromkeys(f"{each.source}: {each.protocol}." for each in found.values())
    caption = f"Published for the same task, under conditions of their own. {' '.join(protocols)}"
    return [PageTable(["Published", *columns, "Source", "Backbone"], rows, caption)] if rows else []


def _filled(number: Number | None) -> tuple[float, float]:
    mean, std = number or (math.nan, None)
    return mean, math.nan if std is None else std


def _unbroken(text: str) -> str:
    """Return an interval whose only line break is before its bracket."""
    return text.replace(" ", "\N{NO-BREAK SPACE}").replace("\N{NO-BREAK SPACE}(", " (")


def _groups(line: Line) -> PageTable:
    rows = [[g.name, g.n, g.accuracy, f"{g.low:.1%} to {g.high:.1%}"] for g in line.groups]
    columns: list[Column | str] = [
        "Group",
        Column("Samples", format=",.0f"),
        Column("Accuracy", format=".1%", bar=True),
    ]
    caption = "Mean over seeds; Wilson intervals for the samples of one seed."
    return PageTable([*columns, "95 % interval"], rows, caption)


def _pairs(pairs: Sequence[Pair]) -> list[PageBlock]:
    blocks: list[PageBlock] = []
    for grid in grids.pair_grids("Percent", pairs):
        blocks.append(PageTable(list(grid.header), grid.rows, grid.title))
        blocks += [Text("\n\n".join(grid.notes))] if grid.notes else []
    return blocks


def _costs(costs: Sequence[Cost]) -> list[PageBlock]:
    reference = costs[0].reference
    text = f"The same method, seeds and test samples as under '{reference}', called the reference here."
    tabs = []
    for protocol in dict.fromkeys(cost.protocol for cost in costs):
        rows = [
            [
                *(c.benchmark, c.method, _cell(c.there), _cell(c.here), 100 * c.difference.mean),
                _unbroken(grids.difference(c.difference).partition(" ")[2].strip("()")),
            ]
            for c in costs
            if c.protocol == protocol
        ]
        percent = [Column("Reference", format=".1%"), Column("Here", format=".1%"), Column("Points", format="+.1f")]
        tabs.append(Tab(protocol, [PageTable(["Benchmark", "Method", *percent, "95 % interval"], rows)]))
    return [Text(text), Tabs(tabs)]


def _how(table: Table) -> list[PageBlock]:
    tabs = []
    for block in {block.protocol: block for block in table.blocks}.values():
        rules = Protocol.from_dict(dict(block.rules))
        words = [
            LABELS[rules.groups],
            f"Each fit keeps its best epoch by {RULES[rules.selection]}.",
            f"Among the settings tried, the best by {RULES[rules.settings]}.",
        ]
        if rules.validation == "balanced":
            words.append("All validation groups are of one size.")
        here = [each for each in table.blocks if each.protocol == block.protocol]
        tabs.append(Tab(block.protocol, [Text(" ".join(words)), _settings(here)]))
    lead = (
        "Every method had the same budget of settings to try; one without a search space has its fixed "
        "ones. Test data were read once, for the settings that the protocol had chosen. Intervals come from drawing "
        "seeds and test samples again, the same ones for all methods."
    )
    return [Text(lead), Tabs(tabs)]


def _settings(blocks: Sequence[Block]) -> PageTable:
    rows = [
        [block.benchmark, line.method, seed, line.tried, grids.settings(parameters)]
        for block in blocks
        for line in block.lines
        for seed, parameters in line.settings.items()
    ]
    tried = Column("Trials", "Of this method over all seeds.")
    return PageTable(["Benchmark", "Method", "Seed", tried, "Settings chosen"], rows, "What was chosen for each seed.")
