import matplotlib
import numpy as np
import pytest

from longway.errors import LongwayError
from longway.report import figures
from longway.report.svg import to_svg

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
    assert "group 17" not in drawing


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
    "pixels": (lambda: figures.traversal_grid(np.zeros((1, 5, 2, 8, 8)), [1]), r"images has shape \(5, 2, 8, 8\)"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input(case):
    build, message = BAD_INPUT[case]
    with pytest.raises(LongwayError, match=message):
        build()
