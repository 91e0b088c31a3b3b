import re
from html import unescape

import matplotlib
import numpy as np
import pytest
from matplotlib.lines import Line2D

from longway.report import figures, signals
from longway.report import tips as tips_module
from longway.report.comparison import Dot, dots, ranks
from longway.report.svg import to_svg
from longway.utils.errors import LongwayError

NAN = float("nan")


def svg(figure):
    return str(to_svg(figure, prefix="f", label="label"))


def test_bars_mark_the_worst_group_of_each_method():
    drawing = svg(
        figures.group_accuracy_bars(
            {"erm": {"a": (0.9, 0.01), "b": (0.41, 0.2)}, "hsfm": {"a": (0.7, 0), "b": (0.8, 0)}}
        )
    )
    assert drawing.count("worst") == 2
    assert "41.0%  worst" in drawing
    assert "70.0%  worst" in drawing


def test_bars_with_gaps():
    drawing = svg(figures.group_accuracy_bars({"one seed": {"a": (0.9, NAN)}, "b": {"x": (NAN, NAN)}, "none": {}}))
    assert "90.0%  worst" in drawing


def test_bars_of_many_groups_name_the_worst():
    accuracies = {f"group {i}": (0.5 + i / 100, 0.01) for i in range(40)}
    drawing = svg(figures.group_accuracy_bars({"erm": accuracies}))
    assert "50.0%  worst: group 0" in drawing
    assert "group 17" not in re.sub(r'data-tip="[^"]*"', "", drawing)


def test_curves_one_panel_a_metric():
    history = [{"epoch": e, "loss": 1 / (e + 1), "best": True, "rule": "worst"} for e in range(4)]
    drawing = svg(figures.training_curves({"erm": history, "sitar": [{"epoch": 0, "val_accuracy": 0.5}], "none": []}))
    assert ">loss<" in drawing
    assert ">val accuracy<" in drawing
    assert ">rule<" not in drawing
    assert ">best<" not in drawing
    only = svg(figures.training_curves({"erm": history}, ["loss"]))
    assert ">val accuracy<" not in only


def test_many_methods_differ_by_dash():
    history = {f"method {i}": [{"epoch": 0, "loss": i}, {"epoch": 1, "loss": NAN}] for i in range(14)}
    assert "stroke-dasharray" in svg(figures.training_curves(history))


@pytest.mark.parametrize("highlight", [None, 1])
def test_scores_are_sorted_and_one_stands_out(highlight):
    drawing = svg(figures.score_bars([0.1, -0.5, 0.9], ["low", "negative", "high"], highlight=highlight))
    assert drawing.index(">high<") < drawing.index(">low<") < drawing.index(">negative<")
    assert "−0.5" in drawing
    assert drawing.count("fill: var(--accent)") == 1


@pytest.mark.parametrize("shape", [(3, 5, 1, 8, 8), (3, 5, 3, 28, 20), (3, 5, 8, 8, 3), (3, 5, 3, 120, 90)])
def test_traversals(shape):
    images = np.random.default_rng(0).random(shape)
    drawing = svg(figures.traversal_grid(images, [0.1, 0.9, 0.2], steps=list("abcde")))
    assert drawing.index("axis 1 · 0.90") < drawing.index("axis 2 · 0.20") < drawing.index("axis 0 · 0.10")
    assert drawing.count("<image") == 1
    assert len(drawing) < 1_000_000


def tips(figure):
    """Return what the marks of a drawing say."""
    return [unescape(tip) for tip in re.findall(r'data-tip="([^"]*)"', svg(figure))]


def test_marks_say_what_they_show():
    bars = tips(figures.group_accuracy_bars({"erm": {"a": (0.9, 0.01), "b": (0.4, NAN)}}))
    assert bars == ["erm\na\n90.0% ± 1.0%", "erm\nb\n40.0%, the lowest"]
    assert tips(figures.score_bars([0.1, -0.5], ["x", "y"])) == ["x\n0.1", "y\n−0.5"]
    assert tips(figures.training_curves({"erm": [{"epoch": 3, "loss": 0.25}]})) == ["erm\nepoch 3: 0.25"]
    line = Dot("erm", 0.5, 0.4, 0.6, (0.45, 0.55), 0.7)
    assert tips(dots([line], "accuracy")) == [
        "erm\n50.0%, 95 % interval 40.0% to 60.0%\n2 seeds: 45.0% to 55.0%\npublished: 70.0%"
    ]
    assert tips(ranks([Dot("erm", 1.5, NAN, NAN)], [{"a": 1.0}])) == ["erm\n1.50"]
    pair = signals.Pair("age", (0.5, 0.4, 0.6), (0.9, NAN, NAN), "12 samples")
    assert tips(signals.pairs([pair], "accuracy", ["here", "there"])) == [
        "age\nthere: 90.0%\n12 samples",
        "age\nhere: 50.0%, 95 % interval 40.0% to 60.0%\n12 samples",
    ]


def test_long_curves_carry_few_tips():
    history = [{"epoch": epoch, "loss": 1 / (epoch + 1)} for epoch in range(1000)]
    assert len(tips(figures.training_curves({"erm": history}))) <= figures.TIPS


@pytest.mark.parametrize("words", ['"><script>', '#0072b2 url(#x) id="tip.QQ=="', "ü 😀\ud800", "x" * 5000])
def test_tips_are_text(words):
    (told,) = tips(figures.score_bars([0.5], [words[:20]]))[:1]
    assert told.startswith(words[:20].encode("utf-8", errors="replace").decode("utf-8"))
    kept = words.encode("utf-8", errors="replace").decode("utf-8")[: tips_module.LONGEST]
    line = Line2D([0], [0])
    assert unescape(tips_module.tips_to_attributes(f'id="{tips_module.tip(line, words).get_gid()}"')) == (
        f'data-tip="{kept}"'
    )


def test_spread_of_a_signal_over_classes():
    drawing = tips(signals.distribution([0, 0, 1, 1], ["a", "a", "a", "b"], "sea"))
    assert drawing == [
        "a\n2 samples, 66.7% of the class",
        "a\n1 samples, 33.3% of the class",
        "b\n1 samples, 100.0% of the class",
    ]
    values = np.r_[np.random.default_rng(0).normal(size=500), 1e9, NAN]
    labels = np.repeat(["a", "b"], [300, 202])
    shown = svg(signals.distribution(values, labels, "$x$", cut=0.5))
    counts = [int(n) for n in re.findall(r": (\d+) samples", shown)]
    assert sum(counts) == 501
    many = signals.distribution(np.arange(100.0), np.arange(100) // 10, "x")
    assert len(many.axes) == 5
    assert svg(signals.distribution(np.ones(5), list("aabbb"), "constant"))


def test_global_state_is_left_alone():
    before = dict(matplotlib.rcParams)
    svg(figures.score_bars([0.1, 0.2]))
    assert dict(matplotlib.rcParams) == before


BAD_INPUT = {
    "no groups": (lambda: figures.group_accuracy_bars({"erm": {}}), "methods has no group accuracies"),
    "no methods": (lambda: figures.group_accuracy_bars({}), "methods has no group accuracies"),
    "no metrics": (lambda: figures.training_curves({"erm": [{"epoch": 1}]}), "histories has no metrics"),
    "no epoch": (lambda: figures.training_curves({"erm": [{"loss": 1}]}), "a record without 'epoch'"),
    "nan score": (lambda: figures.score_bars([0.1, NAN]), "scores must be a vector of finite numbers"),
    "no scores": (lambda: figures.score_bars([]), "scores must be a vector"),
    "labels": (lambda: figures.score_bars([0.1], ["a", "b"]), "labels has 2 entries for 1 scores"),
    "highlight": (lambda: figures.score_bars([0.1], highlight=1), "highlight is 1 but there are 1 scores"),
    "axes": (lambda: figures.traversal_grid(np.zeros((2, 5, 1, 8, 8)), [1]), r"images has shape .* with 1 axes"),
    "steps": (
        lambda: figures.traversal_grid(np.zeros((1, 5, 1, 8, 8)), [1], steps=["a"]),
        "steps has 1 headings for 5 columns",
    ),
    "nothing to pair": (
        lambda: signals.pairs([signals.Pair("a", signals.NOTHING)], "x", ["one"]),
        "lines has no value to draw",
    ),
    "values": (lambda: signals.distribution([NAN], ["a"], "x"), r"values has shape \(1,\): give finite numbers"),
    "as many labels": (lambda: signals.distribution([1, 2], ["a"], "x"), r"values has shape \(2,\): .* the 1 labels"),
    "pixels": (lambda: figures.traversal_grid(np.zeros((1, 5, 2, 8, 8)), [1]), r"images has shape \(5, 2, 8, 8\)"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input(case):
    build, message = BAD_INPUT[case]
    with pytest.raises(LongwayError, match=message):
        build()
