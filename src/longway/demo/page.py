"""The demonstration's report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from longway._version import __version__
from longway.datasets._make_digits import GROUP_NAMES
from longway.demo.experiment import PUBLISHED, RECOMMENDED, Demo
from longway.metrics.group_metrics import GroupMetrics, summarise
from longway.report import (
    Block,
    Callout,
    Column,
    Figure,
    ImageGrid,
    ImageRow,
    KeyFigure,
    KeyFigures,
    MeanStd,
    Page,
    Section,
    Tab,
    Table,
    Tabs,
    Text,
)
from longway.report.figures import group_accuracy_bars, score_bars, training_curves, traversal_grid

ALIVE = 0.1
"""Standard deviation of posterior means above which a latent axis is in use; the prior's is 1."""

COLUMNS = (
    "Method",
    Column(
        "Given",
        "The supervision of the method. Balanced validation: validation images in which the colour says nothing; their "
        "groups are not named. No method was given a group label.",
    ),
    Column(
        "Colour agrees", "Accuracy in distribution: the colour agrees with the label on 90 % of test images.", ".1%"
    ),
    Column("Colour reversed", "Accuracy out of distribution: the colour agrees on 10 %.", ".1%"),
    Column(
        "Worst group", "Accuracy of the worst combination of label and colour, both tests together.", ".1%", bar=True
    ),
    Column("Seconds", "Wall-clock time of one fit on one core.", ".1f"),
)


def report(demo: Demo) -> Page:
    """Lay out the metrics and pictures of a run on one page.

    Parameters
    ----------
    demo : Demo
        What ``longway.demo.run`` returned.

    Returns
    -------
    Page
        ``.save(path)`` writes it as one HTML file.
    """
    record = demo.record
    facts = {
        "Data": "scikit-learn's 1,797 digits, coloured",
        "Seeds": str(record["seeds"]),
        "Run time": f"{record['seconds']:.0f} s",
        "Version": __version__,
    }
    sections = [_findings(record), _data(demo), _groups(record), _axes(demo), _sitar(record), _training(record)]
    return Page(
        "An ordinary network reads the colour, not the digit",
        "Five methods learn to tell the digits 0-4 from 5-9. In training a colour gives the answer away; then it lies.",
        sections,
        facts,
        footer=f"Made by longway demo, version {__version__}. This file loads nothing from the network.",
    )


def _line(record: dict[str, Any], method: str) -> dict[str, Any]:
    return next(line for line in record["table"] if line["method"] == method)


def _findings(record: dict[str, Any]) -> Section:
    erm, best = (_line(record, name)["worst_group"] for name in ("ERM", RECOMMENDED))
    over = f"over {record['seeds']} seeds"
    figures = [
        KeyFigure(f"{erm['mean']:.0%}", "worst group, ordinary network (ERM)", f"± {erm['std']:.1%} {over}", "bad"),
        KeyFigure(f"{best['mean']:.0%}", "worst group, SITAR", f"± {best['std']:.1%} {over}", "good"),
        KeyFigure(f"+{100 * (best['mean'] - erm['mean']):.0f}", "points gained on the worst group"),
    ]
    rows = [
        [line["method"], line["given"]]
        + [MeanStd(**line[name]) for name in ("in_distribution", "out_of_distribution", "worst_group", "seconds")]
        for line in record["table"]
    ]
    best_row = [line["method"] for line in record["table"]].index(RECOMMENDED)
    words = (
        f"Where the colour agrees, the ordinary network is right {_line(record, 'ERM')['in_distribution']['mean']:.0%} "
        f"of the time, and nothing looks wrong. On the digits whose colour misleads it falls to {erm['mean']:.0%}. "
        f"SITAR finds the colour by itself, without a single group label, and brings them to {best['mean']:.0%}."
    )
    caption = "Mean and standard deviation over seeds. Select a heading to sort."
    return Section(
        "What happened",
        [Callout(words, "Key finding"), KeyFigures(figures), Table(COLUMNS, rows, caption, highlight_rows={best_row})],
    )


def _data(demo: Demo) -> Section:
    text = (
        "In training, 90 % of the small digits are green and 90 % of the large ones red. Colour is easier to learn "
        "than shape, so a network learns colour. The two rare groups are where that shows."
    )
    sizes = _training_sizes(demo.record)
    rows = [
        ImageRow(name, images, note=f"{sizes[name]} of {sum(sizes.values())} in training")
        for name, images in demo.samples.items()
    ]
    return Section("The shortcut", [Text(text), ImageGrid(rows, "Training images of each group.", width=64)])


def _training_sizes(record: dict[str, Any]) -> dict[str, int]:
    return dict(zip(GROUP_NAMES, record["training_group_sizes"], strict=True))


def _groups(record: dict[str, Any]) -> Section:
    trials: dict[str, list[GroupMetrics]] = defaultdict(list)
    for trial in record["trials"]:
        trials[trial["method"]].append(GroupMetrics.from_dict(trial["groups"]))
    bars = {
        method: {name: summarise(m.accuracy_by_group[name] for m in metrics) for name in GROUP_NAMES}
        for method, metrics in trials.items()
    }
    figure = Figure(
        group_accuracy_bars(bars),
        "Accuracy of each group under each method",
        "Mean over seeds; whiskers show one standard deviation.",
    )
    tabs = [Tab(method, [_group_table(metrics[0])]) for method, metrics in trials.items()]
    return Section("Whom each method fails", [figure, Tabs(tabs)], lead="The average hides it; the groups show it.")


def _group_table(metrics: GroupMetrics) -> Table:
    rows = [
        [group.name, group.n, group.accuracy, "{:.1%} to {:.1%}".format(*group.interval)]
        for group in metrics.groups or ()
    ]
    columns: list[Column | str] = ["Group", "Test images", Column("Accuracy", format=".1%", bar=True), "95 % interval"]
    return Table(columns, rows, "The first seed, with Wilson intervals.")


def _axes(demo: Demo) -> Section:
    top = int(np.argmax(demo.scores))
    text = (
        "SITAR and pseudo-groups start with a beta-VAE, which learns to redraw the images without seeing a label. "
        "Afterwards each of its axes is scored by its correlation with the label. The one that stands out is the "
        "shortcut: walking along it changes the colour and leaves the digit. Cut in two, it says which "
        "images contradict the shortcut. A plain network trained on equally many of each kind has little use for "
        "the colour: these are the pseudo-groups. SITAR sees that new colours are all that it takes to move an image "
        "along that axis, and trains on images recoloured at random, so that the colour tells nothing at all."
    )
    blocks: list[Block] = [
        Text(text),
        Figure(
            score_bars(demo.scores, highlight=top),
            f"Shortcut score of each latent axis; axis {top} leads with {demo.scores[top]:.2f}",
            "Shortcut score: correlation of each latent axis with the label.",
        ),
        Figure(
            traversal_grid(np.clip(demo.traversals, 0, 1), demo.scores, highlight=top),
            "Images decoded along each latent axis",
            f"Each row walks along one axis, best score first. Axis {top} turns green into red.",
        ),
    ]
    return Section("How the shortcut is found", blocks)


def _sitar(record: dict[str, Any]) -> Section:
    sitar, hsfm, erm = (_line(record, name) for name in (PUBLISHED, "HSFM", "ERM"))
    axes = [trial["latent_axes"] for trial in record["trials"] if trial["method"] == PUBLISHED]
    alive = [sum(std > ALIVE for std in each["std"]) for each in axes]
    colour = [each["colour"][int(np.argmax(each["std"]))] for each in axes]
    text = (
        f"SITAR as its paper prints it is right on {sitar['out_of_distribution']['mean']:.0%} of the images whose "
        f"colour is reversed, against {erm['out_of_distribution']['mean']:.0%} for the ordinary network. On images "
        "this small its weight on the KL term outweighs most of the picture: of "
        f"{len(axes[0]['std'])} latent axes, {', '.join(map(str, alive))} (one number a seed) carry anything at "
        f"all, and the widest correlates with the colour by {min(colour):.2f} or more. Little of the digit is left "
        "for the classifier to fall back on. Longway's default takes a KL weight that follows the images.\n\n"
        f"HSFM retrains only the last layer of the ordinary network and reaches {hsfm['worst_group']['mean']:.0%} on "
        "the worst group. It needs validation images in which colour and label go separate ways, though not their "
        "groups."
    )
    return Section("The published SITAR, and HSFM", [Text(text)])


def _training(record: dict[str, Any]) -> Section:
    histories: dict[str, Sequence[dict[str, Any]]] = {}
    for trial in record["trials"]:
        if trial["method"] != "HSFM":
            # Of SITAR's loss only the cross-entropy compares with what the others minimise.
            curves = [
                {**epoch, "cross_entropy": epoch.get("cross_entropy", epoch["loss"])} for epoch in trial["history"]
            ]
            histories.setdefault(trial["method"], curves)
    figure = training_curves(histories, ["cross_entropy", "val_average"])
    caption = (
        "First seed. Validation data hold the shortcut too: accuracy there rises whether a network reads the digit or "
        "the colour, so it cannot tell the two apart."
    )
    return Section("Training", [Figure(figure, "Training and validation curves of each method", caption)])
